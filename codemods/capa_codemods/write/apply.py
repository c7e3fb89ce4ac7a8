"""Apply a rewrite, undo one, and recover after a run that was killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from capa_codemods.errors import CodemodError, JournalError, remedy_for
from capa_codemods.read.files import digest, read_file
from capa_codemods.write.journal import Journal, JournalEntry, JournalRecord
from capa_codemods.write.journal_folder import MIGRATE_FOLDER, sweep
from capa_codemods.write.merge import without_edits
from capa_codemods.write.planned import PlannedFile
from capa_codemods.write.replace import remove, replace_file
from capa_codemods.write.splice import splice

Progress = Callable[[int, int], None]


class Trouble(NamedTuple):
    """A file that was left as it is, and why."""

    path: str
    reason: str


class WriteResult(NamedTuple):
    """The result of a writing run.

    Attributes:
        written: Files that now hold the wanted content, in the order of writing.
        merged: Those of them that had been edited since, and kept the edits.
        troubles: Files that were left as they are.
    """

    written: tuple[str, ...]
    merged: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def no_progress(done: int, total: int) -> None:
    """Report no progress."""


def apply_files(
    journal: Journal, files: Sequence[PlannedFile], progress: Progress = no_progress
) -> WriteResult:
    """Replace *files*, journal first. Call it with the journal's lock held and nothing unfinished.

    A file that cannot be written, or has changed since it was read, is left and reported; the others are written.
    *progress* is called before each file with how many are done, and of how many.

    Raises:
        OSError: The journal cannot be written. Nothing was touched.
        JournalError: It could no longer be written when files had been replaced.
    """
    record = journal.begin(files)
    written, troubles = [], []
    for index, file in enumerate(files):
        progress(index, len(files))
        if file.needs and file.needs not in written:
            reason = f"{file.path} counts on {file.needs}: it was left as it is; run again"
            troubles.append(Trouble(file.path, reason))
            continue
        try:
            temporary = _free_place(journal, record, index, file.path)
            replace_file(f"{journal.root}/{file.path}", file.after, temporary=temporary, expected=file.before)
            written.append(file.path)
        except (OSError, CodemodError) as error:
            troubles.append(Trouble(file.path, _reason(error)))
    _close(record, written, troubles)
    return WriteResult(tuple(written), (), tuple(troubles))


def undo_newest(journal: Journal, progress: Progress = no_progress) -> WriteResult | None:
    """Take back the newest rewrite; None if there is none. Call it with the journal's lock held.

    A file that the user has edited since keeps the edits, if they are on other lines. Else it is left as it is and
    named, and the rewrite stays in the journal, so that undo can be run again when the conflict is resolved.

    Raises:
        JournalError: The journal is damaged, and nothing was touched; or it could no longer be written afterwards.
        OSError: The journal cannot be written. Nothing was touched.
    """
    records = journal.records("applied")
    if not records:
        return None
    record = records[-1]
    record.entries()  # fails here, before the state changes, if it is damaged
    record.become("undoing")
    return _take_back(journal, record, progress)


def recover_unfinished(journal: Journal) -> WriteResult | None:
    """Finish or undo the work of a killed run; None if there is none. Call it with the lock held.

    Raises:
        JournalError: The journal is damaged, and nothing was touched; or it could no longer be written afterwards.
    """
    sweep(journal.root)
    for record in journal.records("draft"):
        record.drop()
    results = [_take_back(journal, record) for record in reversed(journal.records("applying", "undoing"))]
    if not results:
        return None
    return WriteResult(
        tuple(path for result in results for path in result.written),
        tuple(path for result in results for path in result.merged),
        tuple(trouble for result in results for trouble in result.troubles),
    )


def _take_back(journal: Journal, record: JournalRecord, progress: Progress = no_progress) -> WriteResult:
    written, merged, left, troubles, gone = [], [], [], [], 0
    entries = record.entries()
    older = _Older(journal, record)
    for index, entry in enumerate(entries):
        progress(index, len(entries))
        try:
            temporary = _free_place(journal, record, index, entry.path)
            outcome = _restore(journal.root, record, entry, temporary, older)
        except (OSError, CodemodError) as error:
            left.append(entry.path)
            troubles.append(Trouble(entry.path, _reason(error)))
            gone += isinstance(error, _GoneError)
            continue
        written += [entry.path] if outcome else []
        merged += [entry.path] if outcome == "merged" else []
    if gone and gone == len(left):  # no other file needs what the journal still holds
        last = troubles[-1]
        leave = f", or delete {MIGRATE_FOLDER}/journal/{record.number:04}.applied to leave all such files so"
        troubles[-1] = last._replace(reason=last.reason + leave)
    _close(record, left, troubles)
    return WriteResult(tuple(written), tuple(merged), tuple(troubles))


class _GoneError(CodemodError):
    """No file is there any more to put back."""


def _close(record: JournalRecord, rewritten: Sequence[str], troubles: Sequence[Trouble]) -> None:
    """Keep in the journal the files that are still *rewritten*, so that undo can restore them, and nothing else."""
    if troubles:
        # A full disk may have no room for a shorter plan. The longer one does no harm: its additional files hold their
        # old bytes, and undo skips them.
        with contextlib.suppress(OSError):
            record.keep(rewritten)
    try:
        if rewritten:
            record.become("applied")
        else:
            record.drop()
    except OSError as error:
        raise JournalError(
            f"{record.place} cannot be written ({error.strerror or error}) now that files have been: correct that, "
            f"then run again: the unfinished rewrite is undone first"
        ) from error


def _free_place(journal: Journal, record: JournalRecord, index: int, path: str) -> str:
    """Return a free name for a temporary file in the folder of *path*.

    Raises:
        CodemodError: A link leads from there out of the tree.
    """
    _check_place(journal.root, path)
    temporary = record.temporary(journal.root, index, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    return temporary


class _Older:
    """The content of files before and after the rewrites that are older than one."""

    def __init__(self, journal: Journal, record: JournalRecord) -> None:
        self._journal = journal
        self._number = record.number

    def held(self, path: str, found: str) -> bool:
        """Return whether the file at *path* ever had the digest *found*, as far as the journal shows."""
        return found in self._digests.get(path, ())

    @cached_property
    def _digests(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for record in self._journal.records("applied"):
            for entry in record.entries() if record.number < self._number else ():
                found.setdefault(entry.path, set()).update((entry.before, entry.after))
        return found


def _restore(root: str, record: JournalRecord, entry: JournalEntry, temporary: str, older: _Older) -> str:
    """Put one file back. Return `restored`, `merged`, or nothing if there was nothing to do."""
    path = f"{root}/{entry.path}"
    now = read_file(path)
    found = "" if now is None else digest(now)
    # Version control may have taken this rewrite back already, and older ones with it.
    if found == entry.before or (found != entry.after and older.held(entry.path, found)):
        return ""
    if now is None:
        raise _GoneError(
            f"{entry.path} is gone or no longer a file: it was not made again; put it back and run undo again"
        )
    if not entry.before:
        if found != entry.after:
            raise CodemodError(f"{entry.path} was made by the rewrite and edited since: delete it by hand")
        remove(path, expected=now)
        return "restored"
    original = record.original(entry)
    if found == entry.after:
        replace_file(path, original, temporary=temporary, expected=now)
        return "restored"
    merged = without_edits(splice(original, entry.edits), now, original, entry.edits)
    if merged is None:
        raise CodemodError(
            f"{entry.path} has been edited since, on lines that the rewrite changed: it was left as it is; "
            f"change those lines back by hand and run undo again"
        )
    replace_file(path, merged, temporary=temporary, expected=now)
    return "merged"


def _check_place(root: str, path: str) -> None:
    """Refuse a path that a link leads out of the tree."""
    folder = os.path.realpath(os.path.dirname(f"{root}/{path}"))
    inside = os.path.realpath(root)
    if os.path.commonpath([folder, inside]) != inside:
        raise CodemodError(f"{path} leads out of the tree, to {folder}: it was left as it is")


def _reason(error: OSError | CodemodError) -> str:
    if isinstance(error, CodemodError):
        return str(error)
    return f"cannot be written: {error.strerror or error}; it was left as it is: {remedy_for(error)} and run again"
