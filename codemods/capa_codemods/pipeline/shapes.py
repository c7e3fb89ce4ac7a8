"""Run the rules that change shapes on a file, each proven by itself and all of them together.

They read the file with its names moved, so that one run has the effect of two.
A rule whose edits cannot be proven, or that would change its own result again, is left out for this file, and a
finding reports it; the edits of the other rules are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capa_codemods.errors import UnreadableError
from capa_codemods.file_rewrite import FileRewrite, RuleResult
from capa_codemods.findings import Edit, Finding
from capa_codemods.pipeline.run_rule import refused, run_rule
from capa_codemods.project import Project
from capa_codemods.proof.shape import flaw_of_shape
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.write.splice import Shift, inverse_edits


def with_shapes(rewrite: FileRewrite, rules: Sequence[Rule[Any]], project: Project) -> FileRewrite:
    """Return *rewrite*, whose edits are proven, with the results of *rules* for the file as it leaves it."""
    file = rewrite.file
    if not isinstance(file, PythonFile) or file.is_newer:
        return rewrite._replace(results=(*rewrite.results, *map(_too_new, rules)))
    renamed = PythonFile(file.path, rewrite.after) if rewrite.edits else file
    shaped = _shaped(renamed, rules, list(inverse_edits(file.data, rewrite.edits)), project)
    way_back = _WayBack(rewrite, renamed)
    whole = FileRewrite.of(file, [*rewrite.results, *map(way_back.of, shaped.results)])
    if whole.after != shaped.after:
        return whole._replace(flaw=whole.flaw or "moved names and changed shapes do not fit together")
    return whole


def _shaped(file: PythonFile, rules: Sequence[Rule[Any]], taken: list[Edit], project: Project) -> FileRewrite:
    """Return the rewrite of *file* by *rules*, in places that are not *taken* by an edit."""
    results: list[RuleResult] = []
    for rule in rules:
        result = _proven(run_rule(rule, file, project), file, project)
        if result.edits and (other := _overlap(taken, result.edits)):
            result = RuleResult(rule, findings=(*result.findings, _later(rule, file, result.edits[0], other)))
        taken += result.edits
        results.append(result)
    together = FileRewrite.of(file, results)
    if sum(bool(result.edits) for result in results) < 2:
        return together  # the edits of one rule are proven by themselves
    flaw = together.flaw or flaw_of_shape(together)
    if flaw is None:
        return together
    why = f"makes edits that could not be proven with those of others: {flaw}"
    return FileRewrite.of(file, [refused(result, why) for result in results])


class _WayBack:
    """The way from the places of a renamed file back to those of the file that it was."""

    def __init__(self, rewrite: FileRewrite, renamed: PythonFile) -> None:
        self._file, self._renamed = rewrite.file, renamed
        self._shift = Shift(inverse_edits(rewrite.file.data, rewrite.edits))

    def of(self, result: RuleResult) -> RuleResult:
        return RuleResult(
            result.rule,
            tuple(
                edit._replace(start=self._shift.of(edit.start), end=self._shift.of(edit.end))
                for edit in result.edits
            ),
            tuple(item._replace(line=self._line(item.line)) for item in result.findings),
            tuple(item._replace(line=self._line(item.line)) for item in result.settings),
        )

    def _line(self, line: int) -> int:
        starts = self._renamed.line_starts
        return self._file.line_of(self._shift.of(starts[line - 1])) if 0 < line <= len(starts) else line


def _proven(result: RuleResult, file: PythonFile, project: Project) -> RuleResult:
    """Return *result* without its edits if they have a flaw by themselves."""
    if not result.edits:
        return result
    alone = FileRewrite.of(file, [result])
    if flaw := alone.flaw or flaw_of_shape(alone):
        return refused(result, f"makes edits that could not be proven: {flaw}")
    try:
        again = run_rule(result.rule, alone.reread(), project)
    except UnreadableError as error:
        return refused(result, f"makes edits that could not be proven: {error}")
    if again.edits:
        line = file.line_of(result.edits[0].start)
        return refused(result, "would change its own result again, so that two runs differ from one", line)
    return result


def _overlap(taken: Sequence[Edit], edits: Sequence[Edit]) -> str:
    """Return the rule whose edit one of *edits* would touch, if any."""
    for edit in edits:
        for one in taken:
            if one.start <= edit.end and edit.start <= one.end:
                return one.rule
    return ""


def _later(rule: Rule[Any], file: PythonFile, edit: Edit, other: str) -> Finding:
    return Finding(
        rule.id,
        file.line_of(edit.start),
        "warning",
        f"`{rule.id}` and `{other}` change the same place, and `{other}` goes first",
        "apply, then run again",
    )


def _too_new(rule: Rule[Any]) -> RuleResult:
    message = f"`{rule.id}` changes only files that the Python that runs Capa can parse"
    return RuleResult(
        rule, findings=(Finding(rule.id, 1, "note", message, "run capa with the Python of the project"),)
    )
