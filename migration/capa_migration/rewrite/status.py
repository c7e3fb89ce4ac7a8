"""The status of each rewrite in the journal of a tree: how many of its files still hold its text."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from capa_codemods.api import Journal, JournalEntry, JournalRecord, digest, read_file
from capa_migration.rewrite.target import Target, journal_root


class RewriteStatus(NamedTuple):
    """One rewrite in the journal.

    Attributes:
        files: Number of files that it changed; the sum of the last four.
        begun: Start, in seconds since the epoch.
        rules: The rules of its edits.
        as_written: Files that hold the text it wrote, later rewrites aside.
        edited: Files that have been edited since.
        original: Files that hold the original again, restored by something else than Capa.
        gone: Files that are gone, or cannot be read.
    """

    number: int
    state: str
    files: int
    begun: float
    rules: tuple[str, ...]
    as_written: int = 0
    edited: int = 0
    original: int = 0
    gone: int = 0


def status(paths: str | Sequence[str]) -> tuple[str, list[RewriteStatus]]:
    """Return the root of the tree around *paths* and the rewrites in its journal, oldest first.

    Raises:
        TargetError: There is nothing at one of *paths*.
        JournalError: The journal is damaged.
    """
    root = journal_root(Target(paths).root)
    records = Journal(root).records("applying", "applied", "undoing")
    rewrites = [record.entries() for record in records]
    fates = _fates(root, rewrites)
    return root, [_status(*one) for one in zip(records, rewrites, fates, strict=True)]


def restored(rewrites: Sequence[RewriteStatus]) -> list[RewriteStatus]:
    """Return the newest of *rewrites* whose files all hold the original again; both oldest first."""
    kept = max((at for at, one in enumerate(rewrites, 1) if one.original != one.files), default=0)
    return list(rewrites[kept:])


def _status(record: JournalRecord, entries: Sequence[JournalEntry], fates: Counter[str]) -> RewriteStatus:
    rules = sorted({edit.rule for entry in entries for edit in entry.edits})
    begun = os.stat(f"{record.place}/originals").st_mtime
    return RewriteStatus(record.number, record.state, len(entries), begun, tuple(rules), **fates)


def _fates(root: str, rewrites: Sequence[Sequence[JournalEntry]]) -> list[Counter[str]]:
    """Count the states of the files of each of *rewrites*, oldest first. Each file is read once."""
    by_path: dict[str, list[tuple[int, JournalEntry]]] = {}
    for number, entries in enumerate(rewrites):
        for entry in entries:
            by_path.setdefault(entry.path, []).append((number, entry))
    counted: list[Counter[str]] = [Counter() for _ in rewrites]
    for path, steps in by_path.items():
        for number, fate in _fates_of_file(_held(f"{root}/{path}"), steps):
            counted[number][fate] += 1
    return counted


def _fates_of_file(now: str, steps: Sequence[tuple[int, JournalEntry]]) -> Iterator[tuple[int, str]]:
    """Yield for each rewrite of one file which count of `RewriteStatus` it adds to, if the file has the digest *now*.

    The newest comes first: below a rewrite that is as written, the file is compared with the text before that rewrite.
    """
    for at, (number, entry) in reversed(list(enumerate(steps))):
        earlier = {one for _, step in steps[:at] for one in (step.before, step.after)}
        if now == entry.after:
            yield number, "as_written"
            now = entry.before
        elif now in {entry.before, *earlier}:
            yield number, "original"
        else:
            yield number, "edited" if now else "gone"


def _held(path: str) -> str:
    """Return the digest of the file at *path*; empty if there is none, as in the journal."""
    try:
        data = read_file(path)
    except OSError:
        return ""
    return "" if data is None else digest(data)
