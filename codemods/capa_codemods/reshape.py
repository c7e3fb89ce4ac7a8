"""Have the rules for changes of shape edit a file, each proven by itself and all of them together.

They are given the file as it is once its names have moved, so that one run does what two would.
A rule whose edits cannot be proven, or that would change its own result again, is left out for this file, and a
finding says so; what the other rules do to the file stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capa_codemods.consult import Said, consult, fault
from capa_codemods.engine.document import Document
from capa_codemods.engine.python_file import PythonFile
from capa_codemods.engine.shape import flaw_of_shape
from capa_codemods.engine.splice import Shift, inverse, ordered, splice
from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project
from capa_codemods.rule import Rule


def reshape(
    file: Document, rules: Sequence[Rule[Any]], renames: Sequence[Edit], project: Project
) -> list[Said]:
    """Return what *rules* say of *file* as *renames*, which are proven, leave it; in places of *file* itself."""
    if not isinstance(file, PythonFile) or file.tree is None:
        return [Said(rule, findings=(_too_new(rule),)) for rule in rules]
    first = ordered(renames)
    renamed = PythonFile(file.path, splice(file.data, first)) if first else file
    back = _Back(file, renamed, first)
    told: list[Said] = []
    taken = list(inverse(file.data, first))
    for rule in rules:
        said = _proven(consult(rule, renamed, project), renamed, project)
        if said.edits and (with_whom := _overlap(taken, said.edits)):
            said = Said(rule, findings=(*said.findings, _later(rule, renamed, said.edits[0], with_whom)))
        taken += said.edits
        told.append(said)
    if flaw := _flaw_together(renamed, [edit for said in told for edit in said.edits]):
        what = f"makes edits that could not be proven with those of others: {flaw}"
        told = [_refused(said, what) for said in told]
    return [back.of(said) for said in told]


class _Back:
    """The way from the places of a renamed file back to those of the file that it was."""

    def __init__(self, file: PythonFile, renamed: PythonFile, renames: Sequence[Edit]) -> None:
        self._file, self._renamed = file, renamed
        self._shift = Shift(inverse(file.data, renames))

    def of(self, said: Said) -> Said:
        return Said(
            said.rule,
            tuple(
                edit._replace(start=self._shift.of(edit.start), end=self._shift.of(edit.end))
                for edit in said.edits
            ),
            tuple(item._replace(line=self._line(item.line)) for item in said.findings),
            tuple(item._replace(line=self._line(item.line)) for item in said.settings),
        )

    def _line(self, line: int) -> int:
        starts = self._renamed.line_starts
        return self._file.line_of(self._shift.of(starts[line - 1])) if 0 < line <= len(starts) else line


def _proven(said: Said, file: PythonFile, project: Project) -> Said:
    """Return *said* without its edits if they have a flaw when they stand alone."""
    if not said.edits:
        return said
    try:
        edits = ordered(said.edits)
        new = splice(file.data, edits)
        flaw = flaw_of_shape(file, new, edits)
        again = () if flaw else consult(said.rule, PythonFile(file.path, new), project).edits
    except (ValueError, UnreadableError) as error:
        flaw, again = str(error), ()
    if flaw:
        return _refused(said, f"makes edits that could not be proven: {flaw}")
    if again:
        line = file.line_of(said.edits[0].start)
        return _refused(said, "would change its own result again, so that two runs give more than one", line)
    return said


def _flaw_together(file: PythonFile, edits: Sequence[Edit]) -> str | None:
    if len({edit.rule for edit in edits}) < 2:
        return None  # those of one rule are proven by themselves
    try:
        done = ordered(edits)
        return flaw_of_shape(file, splice(file.data, done), done)
    except (ValueError, UnreadableError) as error:
        return str(error)


def _overlap(taken: Sequence[Edit], edits: Sequence[Edit]) -> str:
    """Return the rule whose edit one of *edits* would touch, if any."""
    for edit in edits:
        for one in taken:
            if one.start <= edit.end and edit.start <= one.end:
                return one.rule
    return ""


def _refused(said: Said, what: str, line: int = 1) -> Said:
    return Said(said.rule, findings=(*said.findings, fault(said.rule, what, line))) if said.edits else said


def _later(rule: Rule[Any], file: PythonFile, edit: Edit, other: str) -> Finding:
    return Finding(
        rule.id,
        file.line_of(edit.start),
        "warning",
        f"`{rule.id}` and `{other}` change the same place, and `{other}` goes first",
        "apply, then run again",
    )


def _too_new(rule: Rule[Any]) -> Finding:
    message = f"`{rule.id}` changes only what the Python that runs Capa can parse"
    return Finding(rule.id, 1, "note", message, "run capa with the Python of the project")
