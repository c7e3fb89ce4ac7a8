"""Writes that appear as a whole: a temporary file first, on the disk, then a new name for it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from capa_core.blocks.files.driver import FilePut
from capa_core.components.file._names import SIDECAR, TEMPORARY
from capa_core.components.file._stored import described, etag_of, present
from capa_core.components.file._tree import Tree, locked, open_file, sync, try_lock
from capa_core.errors import UnavailableError

_TRIES = 100
_CLEAN_EVERY_S = 60.0


class Temporary:
    """A new file in the folder of temporary ones. Its lock tells that its writer lives."""

    def __init__(self, folder: int, mode: int) -> None:
        self.folder = folder
        self.name = uuid4().hex
        self.handle = os.open(self.name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode, dir_fd=folder)

    def write(self, data: bytes) -> None:
        """Append *data*."""
        left = memoryview(data)
        while left:
            left = left[os.write(self.handle, left) :]

    def stamp(self, after_ns: int = 0) -> str:
        """Give the file a time that no other content of its key has, write it to the disk, and return its etag."""
        # The last digits are random: the clock may have gone back since a content that was deleted.
        now = max(time.time_ns() // 1000 * 1000, after_ns + 1) + random.randrange(1000)  # noqa: S311
        os.utime(self.handle, ns=(now, now))
        os.fsync(self.handle)
        return etag_of(os.fstat(self.handle))

    def rename(self, folder: int, name: str) -> None:
        """Put it in the place *name* of another folder, in place of what is there."""
        os.rename(self.name, name, src_dir_fd=self.folder, dst_dir_fd=folder)


class Writing:
    """The writes of one component."""

    def __init__(self, tree: Tree, timeout_s: float) -> None:
        self._tree = tree
        self._timeout_s = timeout_s
        self._cleaned_at = -_CLEAN_EVERY_S

    def put(self, write: FilePut, path: tuple[str, ...], pieces: Iterator[bytes]) -> str | None:
        """Store *pieces* as the file at *path*; `None`, with nothing stored, if the etag does not match."""
        with self._temporary() as new:
            for piece in pieces:
                new.write(piece)
            new.stamp()
            try:
                return self._named(new, write, path)
            except OSError:
                self._tree.prune(path[:-1])  # folders that were made for it
                raise

    def _named(self, new: Temporary, write: FilePut, path: tuple[str, ...]) -> str | None:
        """Give *new* its name at *path*, and return its etag; `None` if the etag does not match."""
        for _ in range(_TRIES):
            with (
                suppress(FileNotFoundError, IsADirectoryError),  # a folder went or came meanwhile
                self._tree.made(path[:-1]) as folder,
            ):
                etag = self._commit(new, write, folder, path[-1])
                if etag is not None:
                    sync(folder)
                return etag
        raise UnavailableError(
            f"the folder of {write.key!r} was removed each time that it was made. Nothing was stored."
        )

    def _commit(self, new: Temporary, write: FilePut, folder: int, name: str) -> str | None:
        with locked(folder, self._timeout_s):
            own_name, found = present(folder, name)
            if write.if_etag is not None and write.if_etag != (etag_of(found) if found else ""):
                return None
            etag = etag_of(stamped := os.fstat(new.handle))
            if found and found.st_mtime_ns >= stamped.st_mtime_ns:
                etag = new.stamp(after_ns=found.st_mtime_ns)
            if (metadata := described(folder, own_name, etag, write)) is not None:
                self._replace(folder, SIDECAR + own_name, metadata)
            new.rename(folder, own_name)
            return etag

    def _replace(self, folder: int, name: str, data: bytes) -> None:
        with self._temporary() as beside:
            beside.write(data)
            os.fsync(beside.handle)
            beside.rename(folder, name)

    @contextmanager
    def _temporary(self) -> Iterator[Temporary]:
        """Make a temporary file; it is gone after the block, unless it has another name by then."""
        with self._tree.made((TEMPORARY,)) as folder:
            if time.monotonic() - self._cleaned_at > _CLEAN_EVERY_S:
                self._cleaned_at = time.monotonic()
                _clean(folder)
            new = _locked_file(folder, self._tree.file_mode)
            try:
                yield new
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(new.name, dir_fd=folder)
                os.close(new.handle)


def _locked_file(folder: int, mode: int) -> Temporary:
    while True:
        new = Temporary(folder, mode)
        if try_lock(new.handle) and os.fstat(new.handle).st_nlink:
            return new
        os.close(new.handle)  # another process took it for that of a dead writer, before the lock


def _clean(folder: int) -> None:
    """Remove the temporary files of writers that died: nobody locks them."""
    for name in os.listdir(folder):
        with suppress(OSError):  # another process was first, or may do it
            if (handle := open_file(folder, name)) is None:
                continue
            try:
                if try_lock(handle):
                    os.unlink(name, dir_fd=folder)
            finally:
                os.close(handle)
