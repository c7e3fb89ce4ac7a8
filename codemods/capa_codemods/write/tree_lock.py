"""The lock of a tree: one run writes in it at a time."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from capa_codemods.errors import BusyError, JournalError
from capa_codemods.write.private import open_private


@contextlib.contextmanager
def tree_lock(root: str, path: str) -> Iterator[None]:
    """Hold the lock of the tree at *root*, the file *path*, while the block runs. A killed run holds nothing.

    Raises:
        BusyError: Another run holds it.
        JournalError: It is a link.
        OSError: It cannot be made.
    """
    handle = _open(path)
    try:
        _take(handle, root)
        yield
    finally:
        with contextlib.suppress(OSError):  # the work that it guarded is done, even if closing it fails
            os.close(handle)


def _take(handle: int, root: str) -> None:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(
            f"another run of capa is writing in {root}: wait until it is done, then run again"
        ) from None


def _open(path: str) -> int:
    try:
        return open_private(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise JournalError(f"{path} is a link: delete it and run again") from error
        raise
