"""The place of a tree's journal, also one that an earlier version made: `.capa/migrate` then, `.capa-migrate` now.

The earlier place is inside the folder with the data of the components, and went with it when a user deleted that. The
next run that writes moves the journal with one rename: a kill leaves it in one place or the other, never in two halves.
"""

from __future__ import annotations

import contextlib
import os

from capa_codemods.errors import JournalError
from capa_codemods.write.journal_folder import MIGRATE_FOLDER
from capa_codemods.write.replace import sync_folder
from capa_codemods.write.tree_lock import tree_lock

EARLIER_FOLDER = ".capa/migrate"


def journal_folder(root: str) -> str:
    """Return the folder with the migration's files, relative to *root*, that holds its journal, or would.

    Raises:
        JournalError: There are two: an earlier version has run after a later one.
    """
    if not _holds_earlier_records(root):
        return MIGRATE_FOLDER
    if not _entries(f"{root}/{MIGRATE_FOLDER}/journal"):
        return EARLIER_FOLDER
    if not _holds_earlier_records(root):  # a run has moved it since the first look
        return MIGRATE_FOLDER
    raise JournalError(
        f"{root} has two journals, {MIGRATE_FOLDER}/journal and {EARLIER_FOLDER}/journal, and their order is unknown: "
        f"undo the second with the earlier version of Capa that wrote it, or delete it"
    )


def has_journal(root: str) -> bool:
    """Return whether the tree at *root* has a journal, of any version."""
    return any(os.path.isdir(f"{root}/{place}/journal") for place in (MIGRATE_FOLDER, EARLIER_FOLDER))


def move_earlier_journal(root: str) -> None:
    """Move a journal that an earlier version made to its present place. Call it with the journal's lock held.

    Raises:
        BusyError: A run of an earlier version is writing.
        JournalError: It cannot be moved, or there is another one. It is where it was.
    """
    earlier = f"{root}/{EARLIER_FOLDER}"
    if not _is_own_folder(root, EARLIER_FOLDER):
        return
    if journal_folder(root) == EARLIER_FOLDER:
        with tree_lock(root, f"{earlier}/lock"):
            _rename(f"{earlier}/journal", f"{root}/{MIGRATE_FOLDER}/journal")
    # Caches, which are made again, and the lock.
    with contextlib.suppress(OSError):
        for name in os.listdir(earlier):
            if name in {"settled", "scanned", "lock", ".gitignore"} or name.endswith(".tmp"):
                os.unlink(f"{earlier}/{name}")
    for folder in (f"{earlier}/journal", earlier):
        with contextlib.suppress(OSError):  # it is gone, or holds a file that is not ours
            os.rmdir(folder)


def move_earlier_file(root: str, name: str) -> None:
    """Move the file *name* of an earlier version from `.capa` to its present place, unless there is one already.

    Raises:
        OSError: It cannot be moved. It is where it was.
    """
    if not os.path.lexists(f"{root}/{MIGRATE_FOLDER}/{name}") and _is_own_folder(root, ".capa"):
        with contextlib.suppress(FileNotFoundError):  # there is none, or another run has moved it
            os.rename(f"{root}/.capa/{name}", f"{root}/{MIGRATE_FOLDER}/{name}")


def _rename(before: str, after: str) -> None:
    try:
        os.rename(before, after)  # also onto a folder that is there and empty
    except OSError as error:
        raise JournalError(
            f"{before} of an earlier version of Capa cannot be moved to {after} ({error.strerror}): "
            f"move it there by hand and run again"
        ) from error
    for place in (after, before):
        sync_folder(os.path.dirname(place))


def _holds_earlier_records(root: str) -> bool:
    return _is_own_folder(root, f"{EARLIER_FOLDER}/journal") and bool(
        _entries(f"{root}/{EARLIER_FOLDER}/journal")
    )


def _is_own_folder(root: str, path: str) -> bool:
    """Return whether *path* below *root* is a folder and no part of it a link: earlier versions refused those."""
    place = root
    for name in path.split("/"):
        place = f"{place}/{name}"
        if os.path.islink(place) or not os.path.isdir(place):
            return False
    return True


def _entries(folder: str) -> list[str]:
    """Return the names in *folder*; none if it is not there.

    Raises:
        OSError: It is there and cannot be listed.
    """
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
