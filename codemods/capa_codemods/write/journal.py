"""The journal of a tree: all data to undo a rewrite, even one that was killed.

Each rewrite has a folder in `.capa-migrate/journal/`. Its name ends with the state, and only a rename changes the
state, so a kill leaves one state or the other:

    0001.draft     being prepared, or no longer needed: no file of the tree depends on it; swept away by the next run
    0001.applying  files are being replaced: the next run that writes undoes them
    0001.applied   done; `undo` takes the newest one first
    0001.undoing   files are being restored: the next run that writes continues

A folder holds `plan.json` (for each file the digests before and after and the edits) and `originals`, the bytes of
each file before, compressed. Both are on disk before the first file is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from capa_codemods.errors import JournalError
from capa_codemods.findings import Edit
from capa_codemods.read.files import digest, open_regular, read_file
from capa_codemods.read.git import tracks
from capa_codemods.write.journal_folder import MIGRATE_FOLDER, check_folder, make_migrate_folder
from capa_codemods.write.journal_place import journal_folder, move_earlier_journal
from capa_codemods.write.planned import PlannedFile
from capa_codemods.write.private import open_private
from capa_codemods.write.replace import sync_folder
from capa_codemods.write.tree_lock import tree_lock

_VERSION = 1
_NEVER_OURS = frozenset({"", "..", ".git", ".capa", MIGRATE_FOLDER})
"""Parts of a path; the empty one begins an absolute path."""


class JournalEntry(NamedTuple):
    """One file of a rewrite.

    Attributes:
        path: Relative to the root of the tree.
        before: Digest of the bytes before; empty if the rewrite made the file.
        after: Digest of the bytes after.
        size: Length of the bytes before.
        offset: Where they begin in `originals`.
        edits: The edits, as offsets into the bytes before.
    """

    path: str
    before: str
    after: str
    size: int
    offset: int
    edits: tuple[Edit, ...]


class JournalRecord:
    """One rewrite in the journal."""

    def __init__(self, folder: str, number: int, state: str) -> None:
        """Name the record *number* in *folder*; nothing is read yet."""
        self.number = number
        self.state = state
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder of the record now."""
        return f"{self._folder}/{self.number:04}.{self.state}"

    def entries(self) -> list[JournalEntry]:
        """Return the files of this rewrite.

        Raises:
            JournalError: The plan is damaged, or names a file outside the tree.
        """
        try:
            plan = json.loads(read_file(f"{self.place}/plan.json") or b"")
            if plan["version"] != _VERSION:
                raise JournalError(
                    f"{self.place} was written by another version of Capa: undo it with that version"
                )
            entries = [_entry(item) for item in plan["files"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(
                f"{self.place}/plan.json is damaged ({error}): restore the tree by hand"
            ) from error
        for entry in entries:
            if not _NEVER_OURS.isdisjoint(entry.path.lower().split("/")):
                raise JournalError(
                    f"{self.place} names {entry.path}, which no rewrite touches: it is not ours; delete it"
                )
        return entries

    def original(self, entry: JournalEntry) -> bytes:
        """Return the bytes of *entry* before the rewrite.

        Raises:
            JournalError: They differ from the stored digest.
        """
        try:
            opened = open_regular(f"{self.place}/originals")
            if opened is None:
                raise JournalError(
                    f"{self.place}/originals is gone: restore {entry.path} from version control"
                )
            with open(opened[0], "rb") as file:
                file.seek(entry.offset)
                # Never more than was stored: a forged journal must not fill the memory.
                unpacker, data = zlib.decompressobj(), b""
                while not unpacker.eof and len(data) <= entry.size and (chunk := file.read(1 << 16)):
                    data += unpacker.decompress(chunk, entry.size + 1 - len(data))
        except (OSError, zlib.error) as error:
            raise JournalError(f"{self.place}/originals is damaged at {entry.path} ({error})") from error
        if digest(data) != entry.before:
            raise JournalError(
                f"{self.place}/originals does not hold {entry.path}: restore it from version control"
            )
        return data

    def temporary(self, root: str, index: int, path: str) -> str:
        """Return the name in the folder of *path* that only this record uses for its file number *index*."""
        folder = os.path.dirname(f"{root}/{path}")
        return f"{folder}/.capa-{self.number:04}-{index}.tmp"

    def write_plan(self, items: list[dict[str, Any]]) -> None:
        """Put the plan on disk, in one step."""
        temporary = f"{self.place}/plan.tmp"
        try:
            with open(temporary, "w", encoding="ascii", opener=open_private) as plan:
                json.dump({"version": _VERSION, "files": items}, plan)
                _settle(plan)
            os.replace(temporary, f"{self.place}/plan.json")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(self.place)

    def keep(self, paths: Collection[str]) -> None:
        """Forget all files but *paths*: the others were left as they are, so there is nothing to take back."""
        items = json.loads(read_file(f"{self.place}/plan.json") or b"")["files"]
        self.write_plan([item for item in items if item["path"] in paths])

    def become(self, state: str) -> None:
        """Move on to *state*, durably."""
        before = self.place
        self.state = state
        os.rename(before, self.place)
        sync_folder(self._folder)

    def drop(self) -> None:
        """Forget this record: no file of the tree depends on it any more.

        The next run that writes deletes files that cannot be deleted now.

        Raises:
            OSError: The record cannot be given up.
        """
        if self.state != "draft":
            self.become("draft")
        with contextlib.suppress(OSError):
            for name in os.listdir(self.place):
                os.unlink(f"{self.place}/{name}")
            os.rmdir(self.place)


class Journal:
    """The journal of one tree."""

    def __init__(self, root: str) -> None:
        """Open the journal of the tree at *root*; nothing is created before something is written."""
        self.root = root
        self.folder = f"{root}/{MIGRATE_FOLDER}/journal"

    def records(self, *states: str) -> list[JournalRecord]:
        """Return the records in one of *states*, oldest first.

        Raises:
            JournalError: Something that leads elsewhere has the name of the journal or of a record, or there are two
                journals.
            OSError: The journal is there and cannot be listed.
        """
        folder = f"{self.root}/{journal_folder(self.root)}/journal"
        check_folder(folder)
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        split = [name.partition(".") for name in names]
        found = [
            JournalRecord(folder, int(number), state)
            for number, _, state in split
            if number.isdecimal() and (state in states or not states)
        ]
        for record in found:
            check_folder(record.place)
        return sorted(found, key=lambda record: record.number)

    def begin(self, files: Sequence[PlannedFile]) -> JournalRecord:
        """Write down a rewrite of *files* and return its record, in the state `applying`.

        Raises:
            OSError: The journal cannot be written. Nothing was touched.
        """
        make_migrate_folder(self.root)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        last = max((record.number for record in self.records()), default=0)
        record = JournalRecord(self.folder, last + 1, "draft")
        os.mkdir(record.place, 0o700)
        try:
            with open(f"{record.place}/originals", "wb", opener=open_private) as blob:
                items = [_item(file, blob) for file in files]
                _settle(blob)
            record.write_plan(items)
            record.become("applying")
        except OSError:
            record.drop()
            raise
        return record

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writing runs out of the tree while the block runs. A killed run holds nothing.

        A journal that an earlier version made is moved to its present place first.

        Raises:
            BusyError: Another run is writing.
            JournalError: The journal came with the repository, or its place leads elsewhere.
            OSError: The lock cannot be made.
        """
        make_migrate_folder(self.root)
        with tree_lock(self.root, f"{self.root}/{MIGRATE_FOLDER}/lock"):
            self._check_author()  # before it is moved to where git does not know it
            move_earlier_journal(self.root)
            yield

    def _check_author(self) -> None:
        folder = journal_folder(self.root)
        if self.records() and tracks(self.root, folder):
            raise JournalError(
                f"{self.root}/{folder}/journal was committed with the repository, so its author is unknown: delete it, "
                f"or if it is yours take it out of version control: git rm -r --cached {folder}"
            )


def _item(file: PlannedFile, blob: Any) -> dict[str, Any]:
    offset = blob.tell()
    # Level 1: the originals of a large rewrite should cost less than reading them did.
    blob.write(zlib.compress(file.before or b"", 1))
    return {
        "path": file.path,
        "before": "" if file.before is None else digest(file.before),
        "after": digest(file.after),
        "size": len(file.before or b""),
        "offset": offset,
        "edits": [[edit.start, edit.end, edit.new.decode("latin-1"), edit.rule] for edit in file.edits],
    }


def _entry(item: dict[str, Any]) -> JournalEntry:
    edits = tuple(Edit(start, end, new.encode("latin-1"), rule) for start, end, new, rule in item["edits"])
    return JournalEntry(item["path"], item["before"], item["after"], item["size"], item["offset"], edits)


def _settle(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
