"""Replace a file so that whoever looks, whenever, sees the old bytes or the new ones and nothing else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from capa_codemods.errors import ConflictError

_READ = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
)


def digest(data: bytes) -> str:
    """Return the SHA-256 of *data*."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def read(path: str) -> bytes | None:
    """Return the bytes of the regular file at *path*; None if there is nothing or something else.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        # A pipe may stand there: O_NONBLOCK, so that opening it does not wait for a writer.
        handle = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            return None
        raise
    try:
        found = os.fstat(handle)
        return _read_all(handle, found.st_size) if stat.S_ISREG(found.st_mode) else None
    finally:
        os.close(handle)


def replace(path: str, new: bytes, *, temporary: str, expected: bytes | None) -> None:
    """Put *new* at *path*, atomically and durably, with the mode, owner and attributes that the file has.

    Args:
        path: Absolute path. Its folder is there.
        new: All of its new content.
        temporary: Absolute path in the same folder that nobody else uses; gone afterwards.
        expected: What the file holds now, None if it must not be there.

    Raises:
        ConflictError: The file does not hold *expected*.
        OSError: It could not be written. The file is as it was.
    """
    try:
        _write(temporary, new, like=path if expected is not None else None)
        _check(path, expected)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def remove(path: str, *, expected: bytes) -> None:
    """Delete the file at *path*.

    Raises:
        ConflictError: It does not hold *expected*.
        OSError: It could not be deleted.
    """
    if read(path) != expected:
        raise ConflictError(f"{path} changed since it was made: it was left as it is; delete it by hand")
    os.unlink(path)
    sync_folder(os.path.dirname(path))


def sync_folder(folder: str) -> None:
    """Make renames in *folder* survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read_all(handle: int, size: int) -> bytes:
    # Straight calls: a file object costs more than reading a usual source file does.
    data = os.read(handle, size + 1)
    if len(data) <= size:
        return data
    while chunk := os.read(handle, 1 << 20):  # it is growing
        data += chunk
    return data


def _check(path: str, expected: bytes | None) -> None:
    # As late as can be: what comes after is one system call.
    if read(path) != expected:
        raise ConflictError(f"{path} changed while it was being rewritten: it was left as it is; run again")


def _write(path: str, data: bytes, *, like: str | None) -> None:
    # O_EXCL with O_NOFOLLOW: a link planted under our name must not lead us elsewhere.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o600 if like else 0o666)
    with open(handle, "wb") as file:
        file.write(data)
        file.flush()
        if like:
            _copy_attributes(like, file.fileno())
        os.fsync(file.fileno())


def _copy_attributes(source: str, handle: int) -> None:
    found = os.lstat(source)
    if hasattr(os, "fchown") and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(
            PermissionError
        ):  # a file of somebody else's that we may write to becomes ours
            os.fchown(handle, found.st_uid, found.st_gid)
    os.fchmod(handle, stat.S_IMODE(found.st_mode))
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # a file system without attributes has none to lose
            for name in os.listxattr(source, follow_symlinks=False):
                os.setxattr(handle, name, os.getxattr(source, name, follow_symlinks=False))
