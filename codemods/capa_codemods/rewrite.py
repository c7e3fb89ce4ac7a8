"""Examine files with the rules, prove what they would become, and say so. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from capa_codemods.engine.document import Document
from capa_codemods.engine.splice import ordered, splice
from capa_codemods.engine.write import digest, read
from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Change, Edit, Finding, Outcome
from capa_codemods.project import Project
from capa_codemods.rule import Rule


class Rewrite:
    """A choice of rules over one tree."""

    def __init__(self, project: Project, rules: Iterable[Rule[Any]]) -> None:
        """Apply *rules* to the files of *project*."""
        self.project = project
        self._rules: dict[type[Document], list[Rule[Any]]] = {}
        for rule in rules:
            self._rules.setdefault(rule.reads, []).append(rule)

    def concerns(self, path: str) -> bool:
        """Say by its name whether a rule reads the file at *path*."""
        for kind in self._rules:  # noqa: SIM110 - this runs for every file of a tree
            if path.endswith(kind.suffixes) and kind.claims(path):
                return True
        return False

    def may_concern(self, path: str) -> bool:
        """Say, from the bytes of the file at *path*, whether a rule could have anything to say of it."""
        try:
            data = read(f"{self.project.root}/{path}")
        except OSError:
            return True  # `examine` says why it cannot be read
        return data is not None and bool(self._kinds(path, data))

    def examine(self, path: str) -> Outcome:
        """Read the file at *path*, relative to the root, and return what would become of it."""
        try:
            data = read(f"{self.project.root}/{path}")
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return Outcome(
                path, "failed", reason=reason, next_step="allow reading it, or leave it out with --exclude"
            )
        if data is None:  # a link, a pipe, or gone by now: not a file of this tree
            return Outcome(path, "clean")
        return self.examine_data(path, data)

    def remark(self, path: str) -> Outcome | None:
        """Return what `examine` returns, or None if there is nothing to say about the file."""
        outcome = self.examine(path)
        return outcome if outcome.status != "clean" or outcome.findings else None

    def examine_data(self, path: str, data: bytes) -> Outcome:
        """Return what would become of a file at *path* that holds *data*."""
        outcomes = [self._read_as(kind, path, data) for kind in self._kinds(path, data)]
        if not outcomes:
            return Outcome(path, "clean")
        # setup.py is Python and a manifest: at most one of the two edits it, and both may have something to say.
        main = next((outcome for outcome in outcomes if outcome.status != "clean"), outcomes[0])
        findings = [finding for outcome in outcomes for finding in outcome.findings]
        return main._replace(findings=tuple(sorted(findings, key=lambda finding: finding.line)))

    def _kinds(self, path: str, data: bytes) -> list[type[Document]]:
        return [
            kind
            for kind in self._rules
            if path.endswith(kind.suffixes)
            and kind.claims(path)
            and kind.may_concern(data, self.project.names)
        ]

    def _read_as(self, kind: type[Document], path: str, data: bytes) -> Outcome:
        try:
            return self._outcome(kind(path, data), self._rules[kind])
        except UnreadableError as error:
            return Outcome(path, "failed", reason=str(error), line=error.line, next_step=error.next_step)

    def _outcome(self, file: Document, rules: Sequence[Rule[Any]]) -> Outcome:
        said = [item for rule in rules for item in rule.check(file, self.project)]
        findings = tuple(
            item for item in said if isinstance(item, Finding) and not file.ignores(item.line, item.rule)
        )
        edits = [item for item in said if isinstance(item, Edit)]
        edits = [edit for edit in edits if not file.ignores(file.line_of(edit.start), edit.rule)]
        if not edits:
            return Outcome(file.path, "clean", findings=findings)
        return self._proven(file, edits, findings)

    def _proven(self, file: Document, edits: list[Edit], findings: tuple[Finding, ...]) -> Outcome:
        flaw: str | None
        try:
            done = ordered(edits)
            new = splice(file.data, done)
            flaw = file.flaw(new, done, self.project.names)
        except ValueError as error:
            flaw = str(error)
        if flaw is not None:
            return Outcome(
                file.path,
                "failed",
                findings=findings,
                reason=f"the rewrite could not be proven: {flaw}",
                next_step="it was left as it is: change it by hand, and report the file as a fault of Capa",
            )
        changes = tuple(_change(file, edit) for edit in done)
        return Outcome(file.path, "changed", done, changes, findings, (digest(file.data), digest(new)))


def _change(file: Document, edit: Edit) -> Change:
    first, last = file.line_of(edit.start), file.line_of(max(edit.start, edit.end - 1))
    start = file.line_starts[first - 1]
    end = file.line_starts[last] if last < len(file.line_starts) else len(file.data)
    before = file.data[start:end]
    after = before[: edit.start - start] + edit.new + before[edit.end - start :]
    return Change(edit.rule, first, _shown(before), _shown(after))


def _shown(text: bytes) -> str:
    return text.decode(errors="replace").strip()


def crashed(path: str) -> Outcome:
    """Return the outcome of a file that takes the process down that parses it."""
    step = "change its imports by hand, or leave it out with --exclude"
    return Outcome(path, "failed", reason="Python's parser crashes on it", next_step=step)
