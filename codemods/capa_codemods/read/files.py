"""The bytes of a regular file, read without waiting for a pipe and without following a link."""

from __future__ import annotations

import errno
import os
from stat import S_ISREG

# A pipe may be there: O_NONBLOCK, so that opening it does not wait for a writer.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def digest(data: bytes) -> str:
    """Return the SHA-256 of *data*."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def read_file(path: str, *, follow_link: bool = False) -> bytes | None:
    """Return the bytes of the regular file at *path*; None if there is nothing or something else.

    Args:
        path: Where to look.
        follow_link: Whether a link to a regular file is as good.

    Raises:
        OSError: It is there and cannot be read.
    """
    found = read_file_with_stat(path, follow_link=follow_link)
    return found[0] if found else None


def read_file_with_stat(path: str, *, follow_link: bool = False) -> tuple[bytes, os.stat_result] | None:
    """Return the bytes that `read_file` returns, and the file's status before it was read.

    Raises:
        OSError: It is there and cannot be read.
    """
    opened = open_regular(path, follow_link=follow_link)
    if opened is None:
        return None
    handle, found = opened
    try:
        # Straight calls: a file object costs more than reading a usual source file does.
        data = os.read(handle, found.st_size + 1)
        while len(data) > found.st_size and (chunk := os.read(handle, 1 << 20)):  # it is growing
            data += chunk
    finally:
        os.close(handle)
    return data, found


def open_regular(path: str, *, follow_link: bool = False) -> tuple[int, os.stat_result] | None:
    """Return a handle to read the regular file at *path*, and its status; None where `read` returns None. Never waits.

    Raises:
        OSError: It is there and cannot be opened.
    """
    try:
        handle = os.open(path, _READ if follow_link else _READ | _NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            return None
        raise
    found = os.fstat(handle)
    if S_ISREG(found.st_mode):
        return handle, found
    os.close(handle)
    return None
