"""Changed files: those that a rewrite would change and those that it has changed, with proof and diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from capa_codemods.api import (
    Edit,
    Journal,
    JournalEntry,
    JournalError,
    JournalRecord,
    Outcome,
    digest,
    read_file,
    unified_diff,
)
from capa_migration.rewrite.page.packing import packed_lines
from capa_migration.rewrite.plan import Plan

State = Literal["ready", "written"]

_MAX_DIFF_BYTES = 200_000
"""A longer diff is hardly read in a page, and would displace a hundred others."""


class Change(NamedTuple):
    """One changed file.

    Attributes:
        state: `ready` to be written, or `written`.
        before: SHA-256 of the bytes before; empty if the rewrite made the file.
        after: SHA-256 of the bytes that were proven.
    """

    path: str
    state: State
    before: str
    after: str
    edits: tuple[Edit, ...]
    record: JournalRecord | None = None
    entry: JournalEntry | None = None


class Changes(NamedTuple):
    """All changed files, in the order of paths; *flaws* are the reasons why a journal cannot be read."""

    root: str
    files: tuple[Change, ...]
    flaws: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> Changes:
        """Return the changes of *plan* and those in the journal of its tree."""
        journal, flaws = Journal(plan.root), []
        files = [_ready(outcome) for outcome in plan.of("changed")]
        try:
            for record in journal.records("applied"):
                files += [_written(record, entry) for entry in record.entries()]
        except JournalError as error:
            flaws.append(str(error))
        return cls(plan.root, tuple(sorted(files, key=lambda file: (file.path, file.state))), tuple(flaws))

    def count(self, state: State) -> int:
        """Return how many files are in *state*."""
        return len({file.path for file in self.files if file.state == state})

    def packed(self, room: int) -> str:
        """Return the files packed by `packed_lines`, with as many diffs as *room* characters hold."""
        return packed_lines(self._items(), room)

    def _items(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for file in self.files:
            diff = self._diff(file)
            short = _data(file)
            yield {**short, "diff": diff.decode(errors="replace")} if diff else short, short

    def _diff(self, file: Change) -> bytes | None:
        """Return the unified diff of *file*; None if it is too long, or the bytes before are lost."""
        try:
            if file.record and file.entry:
                data = file.record.original(file.entry)
            else:
                data = read_file(f"{self.root}/{file.path}") or b""
        except (OSError, JournalError):
            return None
        if file.before and digest(data) != file.before:
            return None
        diff = unified_diff(file.path, data, file.edits)
        return diff if len(diff) <= _MAX_DIFF_BYTES else None


def _ready(outcome: Outcome) -> Change:
    return Change(outcome.path, "ready", *outcome.digests, outcome.edits)


def _written(record: JournalRecord, entry: JournalEntry) -> Change:
    return Change(entry.path, "written", entry.before, entry.after, entry.edits, record, entry)


def _data(file: Change) -> dict[str, Any]:
    return {
        "path": file.path,
        "state": file.state,
        "rules": _rules(file.edits),
        "edits": len(file.edits),
        "before": file.before,
        "after": file.after,
    }


def _rules(edits: Sequence[Edit]) -> list[str]:
    return sorted({edit.rule for edit in edits})
