"""A tree of folders that no link leads out of: each step is opened from the folder before, and no link is followed.

Between a check of a path and its use, a link may be planted in it. A folder that is open stays what it was, and
`O_NOFOLLOW` refuses a link in the same step that opens: https://man7.org/linux/man-pages/man2/openat.2.html.
"""

from __future__ import annotations

import os
import random
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EINVAL, ELOOP, ENODEV, ENOTDIR, ENXIO
from pathlib import Path

from capa_core.components.file._names import BESIDE, SIDECAR
from capa_core.errors import ConflictError, UnavailableError
from capa_core.folders import own

if sys.platform != "win32":
    import fcntl

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0)  # a pipe must not block
_NO_FILE = (ELOOP, ENXIO, ENODEV, ENOTDIR)  # a link, a socket, a device: none of ours
_TRIES = 100
_LONGEST_REST_S = 0.01


class Tree:
    """The folders below *root*, which need not exist; *root* itself may be a link of the operator's.

    Args:
        private: Whether what is made is for its owner alone.
        embedded: Whether *root* is the folder `files` in the runtime's own folder.
    """

    def __init__(self, root: Path, *, private: bool, embedded: bool) -> None:
        self.root = root
        self.file_mode = 0o600 if private else 0o666
        self._folder_mode = 0o700 if private else 0o777
        self._embedded = embedded

    @contextmanager
    def folder(self, names: Sequence[str]) -> Iterator[int | None]:
        """Open the folder at *names* for the length of the block; `None` if there is none."""
        with _closed(self._opened(names)) as folder:
            yield folder

    @contextmanager
    def made(self, names: Sequence[str]) -> Iterator[int]:
        """Open the folder at *names* for the length of the block, and make it if need be.

        Raises:
            ConflictError: There is a link, or what is neither a folder nor a file, in its way.
            OSError: It cannot be made.
        """
        folder = self._made_root()
        try:
            for name in names:
                outer, folder = folder, self._step(folder, name)
                os.close(outer)
        except BaseException:
            os.close(folder)
            raise
        with _closed(folder):
            yield folder

    def prune(self, names: Sequence[str]) -> None:
        """Remove the folder at *names* if it is empty, then the one above, and so on; not the root."""
        for end in range(len(names), 0, -1):
            with self.folder(names[: end - 1]) as outer:
                if outer is None:
                    return
                try:
                    os.rmdir(names[end - 1], dir_fd=outer)
                except OSError:  # not empty, or another process was first
                    return

    def _opened(self, names: Sequence[str]) -> int | None:
        try:
            return _descend(os.open(self.root, _FOLDER), names)
        except FileNotFoundError:
            return None

    def _made_root(self) -> int:
        try:
            return os.open(self.root, _FOLDER)
        except FileNotFoundError:
            if self._embedded:
                own(self.root.parent, self.root.name)
            else:
                self.root.mkdir(mode=self._folder_mode, parents=True, exist_ok=True)
            return os.open(self.root, _FOLDER)

    def _step(self, outer: int, name: str) -> int:
        """Open the folder *name* in *outer*, and make it if need be."""
        for _ in range(_TRIES):
            if (folder := open_folder(outer, name)) is not None:
                return folder
            try:
                os.mkdir(name, self._folder_mode, dir_fd=outer)
            except FileExistsError:
                self._make_room(outer, name)
            else:
                sync(outer)
        raise UnavailableError(
            f"the folder {name!r} below {self.root} was removed each time that it was made"
        )

    def _make_room(self, outer: int, name: str) -> None:
        """Rename the file *name* in *outer*, so that a folder can have its name; do nothing if it is gone."""
        with locked(outer):
            found = looked_at(outer, name)
            if found is None or stat.S_ISDIR(found.st_mode):
                return
            if not stat.S_ISREG(found.st_mode):
                raise ConflictError(
                    f"{name!r} below {self.root} is a link or a device, which is never followed. Nothing was stored."
                    f" Remove it."
                )
            beside = f"{SIDECAR}{name}{BESIDE}"
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=outer)
            with suppress(FileNotFoundError):  # first, so that a reader finds the metadata under either name
                os.link(f"{SIDECAR}{name}", beside, src_dir_fd=outer, dst_dir_fd=outer)
            os.rename(name, f"{name}{BESIDE}", src_dir_fd=outer, dst_dir_fd=outer)
            with suppress(FileNotFoundError):
                os.unlink(f"{SIDECAR}{name}", dir_fd=outer)


@contextmanager
def folder_in(folder: int, names: Sequence[str]) -> Iterator[int | None]:
    """Open the folder at *names* in an open *folder* for the length of the block; `None` if there is none."""
    with _closed(_descend(os.dup(folder), names)) as inner:
        yield inner


def open_folder(outer: int, name: str) -> int | None:
    """Open the folder *name* in *outer*; `None` if there is none, or a link or a file in its place."""
    try:
        return os.open(name, _FOLDER | _NO_LINK, dir_fd=outer)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise


def open_file(folder: int, name: str) -> int | None:
    """Open the file *name* in *folder*; `None` if there is none, or something else in its place."""
    try:
        opened = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    return None


def looked_at(folder: int, name: str) -> os.stat_result | None:
    """Return the status of *name* in *folder*, of a link its own; `None` if there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_file(found: os.stat_result | None) -> bool:
    """Return whether *found* is that of a file."""
    return found is not None and stat.S_ISREG(found.st_mode)


@contextmanager
def locked(folder: int, timeout_s: float = 5.0) -> Iterator[None]:
    """Exclude the other writers of *folder*, in all processes, for the length of the block.

    Raises:
        UnavailableError: Another writer held it for *timeout_s*, such as a process that was stopped.
    """
    end = time.monotonic() + timeout_s
    while not try_lock(folder):
        if time.monotonic() > end:
            raise UnavailableError(
                f"another process has locked the folder for {timeout_s:g} s; is it stopped? Nothing was stored."
            )
        time.sleep(random.uniform(0, _LONGEST_REST_S))  # noqa: S311 - it keeps no secret
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)  # a child that was forked meanwhile has the folder open too


def try_lock(opened: int) -> bool:
    """Lock an open file or folder, if no other process has, and return whether it did."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync(folder: int) -> None:
    """Make the names in *folder* survive a power cut."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != EINVAL:  # some file systems have nothing to sync there
            raise


def _descend(folder: int, names: Sequence[str]) -> int | None:
    """Open the folder at *names* in *folder*, which is closed; `None` if there is none."""
    for name in names:
        try:
            inner = open_folder(folder, name)
        finally:
            os.close(folder)
        if inner is None:
            return None
        folder = inner
    return folder


@contextmanager
def _closed(folder: int | None) -> Iterator[int | None]:
    try:
        yield folder
    finally:
        if folder is not None:
            os.close(folder)
