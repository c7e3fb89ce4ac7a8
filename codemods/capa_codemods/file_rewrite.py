"""One file on its way through a rewrite: the value that goes from the rules to the proof, and on to the outcome.

Document ──rules──▶ RuleResult … ──spliced once──▶ FileRewrite ──proof──▶ FileRewrite ──▶ Outcome
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from capa_codemods.findings import Edit, Finding, Outcome, Setting
from capa_codemods.read.document import Document, change_of
from capa_codemods.read.files import digest
from capa_codemods.rule import Rule
from capa_codemods.write.splice import inverse_edits, ordered_edits, splice


class RuleResult(NamedTuple):
    """The items that one rule yields for one document, less those that a comment in the document switches off."""

    rule: Rule[Any]
    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    settings: tuple[Setting, ...] = ()

    @property
    def warns(self) -> bool:
        """Whether a finding is more than a note."""
        return any(finding.level != "note" for finding in self.findings)


class FileRewrite(NamedTuple):
    """A file, read as one kind of document, with the results of its rules.

    Attributes:
        file: The document as it was read.
        results: One for each rule that was run, in the order of running.
        edits: The edits of all *results*, by place.
        after: The bytes of the file with *edits*.
        flaw: Why the edits must not be used; None where no flaw is known. Only a proof shows that there is none.
    """

    file: Document
    results: tuple[RuleResult, ...]
    edits: tuple[Edit, ...]
    after: bytes
    flaw: str | None = None

    @classmethod
    def of(cls, file: Document, results: Iterable[RuleResult]) -> FileRewrite:
        """Return the rewrite of *file* by *results*; its flaw, if two edits overlap, is that."""
        listed = tuple(results)
        try:
            edits = ordered_edits(edit for result in listed for edit in result.edits)
        except ValueError as error:
            return cls(file, listed, (), file.data, str(error))
        return cls(file, listed, edits, splice(file.data, edits) if edits else file.data)

    @property
    def keeps_other_bytes(self) -> bool:
        """Whether taking the edits out of *after* gives every byte of the file back."""
        return splice(self.after, inverse_edits(self.file.data, self.edits)) == self.file.data

    def reread(self) -> Document:
        """Return the file as it would be.

        Raises:
            UnreadableError: It is no longer a document of its kind.
        """
        return type(self.file)(self.file.path, self.after)

    def outcome(self) -> Outcome:
        """Return the outcome of the file: clean without edits, failed with a flaw."""
        findings = [finding for result in self.results for finding in result.findings]
        outcome = Outcome(
            self.file.path,
            "clean",
            findings=tuple(sorted(findings, key=lambda finding: finding.line)),
            settings=tuple(setting for result in self.results for setting in result.settings),
        )
        if self.flaw is not None:
            return outcome._replace(
                status="failed",
                reason=f"the rewrite could not be proven: {self.flaw}",
                next_step="it was left as it is: change it by hand, and report the file as a fault of Capa",
            )
        if not self.edits:
            return outcome
        changes = (change_of(self.file.data, self.file.line_starts, edit) for edit in self.edits)
        return outcome._replace(
            status="changed",
            edits=self.edits,
            changes=tuple(changes),
            digests=(digest(self.file.data), digest(self.after)),
        )
