"""Keep, next to the tree, what is needed to take a rewrite back, whatever happens in the middle of it.

Each rewrite has a folder in `.capa/migrate/journal/`. Its name ends with the state, and only a rename changes the
state, so a kill leaves one state or the other:

    0001.draft     being prepared, or no longer needed: no file of the tree depends on it; swept away by the next run
    0001.applying  files are being replaced: the next run that writes takes back what was done
    0001.applied   done; what `undo` works on, newest first
    0001.undoing   files are being put back: the next run that writes goes on with it

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

from capa_codemods.engine.journal_folder import FOLDER, make_folder
from capa_codemods.engine.write import digest, sync_folder
from capa_codemods.errors import BusyError, JournalError
from capa_codemods.findings import Edit

_VERSION = 1


class Entry(NamedTuple):
    """One file of a rewrite.

    Attributes:
        path: Relative to the root of the tree.
        before: Digest of the bytes before; empty if the rewrite made the file.
        after: Digest of the bytes after.
        size: Length of the bytes before.
        offset: Where they begin in `originals`.
        edits: What was done, as offsets into the bytes before.
    """

    path: str
    before: str
    after: str
    size: int
    offset: int
    edits: tuple[Edit, ...]


class Planned(NamedTuple):
    """One file that is going to be replaced: *before* (None: it is made) becomes *after*."""

    path: str
    before: bytes | None
    after: bytes
    edits: tuple[Edit, ...]


class Record:
    """One rewrite in the journal."""

    def __init__(self, folder: str, number: int, state: str) -> None:
        """Name the record *number* in *folder*; nothing is read yet."""
        self.number = number
        self.state = state
        self._folder = folder

    @property
    def place(self) -> str:
        """Where the record lies now."""
        return f"{self._folder}/{self.number:04}.{self.state}"

    def entries(self) -> list[Entry]:
        """Return the files of this rewrite.

        Raises:
            JournalError: The plan is damaged, or names a file outside the tree.
        """
        try:
            with open(f"{self.place}/plan.json", "rb") as file:
                plan = json.load(file)
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
            if entry.path.startswith("/") or ".." in entry.path.split("/"):
                raise JournalError(
                    f"{self.place} names {entry.path}, outside the tree: it is not ours; delete it"
                )
        return entries

    def original(self, entry: Entry) -> bytes:
        """Return the bytes of *entry* before the rewrite.

        Raises:
            JournalError: They are not what was stored.
        """
        try:
            with open(f"{self.place}/originals", "rb") as file:
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
        """Return the name beside *path* that only this record uses for its file number *index*."""
        folder = os.path.dirname(f"{root}/{path}")
        return f"{folder}/.capa-{self.number:04}-{index}.tmp"

    def write_plan(self, items: list[dict[str, Any]]) -> None:
        """Put the plan on disk, in one step."""
        temporary = f"{self.place}/plan.tmp"
        with open(temporary, "w", encoding="ascii") as plan:
            json.dump({"version": _VERSION, "files": items}, plan)
            _settle(plan)
        os.replace(temporary, f"{self.place}/plan.json")
        sync_folder(self.place)

    def keep(self, paths: Collection[str]) -> None:
        """Forget all files but *paths*: the others were left as they are, so there is nothing to take back."""
        with open(f"{self.place}/plan.json", "rb") as file:
            items = json.load(file)["files"]
        self.write_plan([item for item in items if item["path"] in paths])

    def become(self, state: str) -> None:
        """Move on to *state*, durably."""
        before = self.place
        self.state = state
        os.rename(before, self.place)
        sync_folder(self._folder)

    def drop(self) -> None:
        """Forget this record: no file of the tree depends on it any more."""
        if self.state != "draft":
            self.become("draft")
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.place):
                os.unlink(f"{self.place}/{name}")
            os.rmdir(self.place)


class Journal:
    """The journal of one tree."""

    def __init__(self, root: str) -> None:
        """Look at the tree at *root*; nothing is made before something is written."""
        self.root = root
        self.folder = f"{root}/{FOLDER}/journal"

    def records(self, *states: str) -> list[Record]:
        """Return the records in one of *states*, oldest first."""
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return []
        split = [name.partition(".") for name in names]
        return [
            Record(self.folder, int(number), state)
            for number, _, state in split
            if number.isdecimal() and (state in states or not states)
        ]

    def begin(self, files: Sequence[Planned]) -> Record:
        """Write down a rewrite of *files* and return its record, in the state `applying`.

        Raises:
            OSError: The journal cannot be written. Nothing was touched.
        """
        make_folder(self.root)
        os.makedirs(self.folder, exist_ok=True)
        last = max((record.number for record in self.records()), default=0)
        record = Record(self.folder, last + 1, "draft")
        os.mkdir(record.place)
        try:
            with open(f"{record.place}/originals", "wb") as blob:
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

        Raises:
            BusyError: Another run is writing.
            OSError: The lock cannot be made.
        """
        import fcntl

        make_folder(self.root)
        with open(f"{self.root}/{FOLDER}/lock", "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"another run of capa is writing in {self.root}: wait until it is done, then run again"
                ) from None
            yield


def _item(file: Planned, blob: Any) -> dict[str, Any]:
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


def _entry(item: dict[str, Any]) -> Entry:
    edits = tuple(Edit(start, end, new.encode("latin-1"), rule) for start, end, new, rule in item["edits"])
    return Entry(item["path"], item["before"], item["after"], item["size"], item["offset"], edits)


def _settle(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
