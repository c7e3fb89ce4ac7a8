"""Replace a file in one step: at every moment it holds the old bytes or the new ones."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from capa_codemods.errors import ConflictError
from capa_codemods.read.files import read_file

_NOT_OURS = ("security.", "trusted.")  # attributes that the system sets, and that only it may set


def replace_file(path: str, new: bytes, *, temporary: str, expected: bytes | None) -> None:
    """Put *new* at *path*, atomically and durably, with the mode, owner and attributes that the file has.

    Args:
        path: Absolute path. Its folder is there.
        new: All of its new content.
        temporary: Absolute path in the same folder that nothing else uses; gone afterwards.
        expected: The present bytes of the file, None if nothing may be there.

    Raises:
        ConflictError: The file does not hold *expected*, or it is read-only.
        OSError: It could not be written. The file is as it was.
    """
    try:
        if expected is not None:
            _check_writable(path)
        _write(temporary, new, like=path if expected is not None else None)
        _check(path, expected)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _settle_folder(path)


def remove(path: str, *, expected: bytes) -> None:
    """Delete the file at *path*.

    Raises:
        ConflictError: It does not hold *expected*.
        OSError: It could not be deleted.
    """
    if read_file(path) != expected:
        raise ConflictError(f"{path} changed since it was made: it was left as it is; delete it by hand")
    os.unlink(path)
    _settle_folder(path)


def sync_folder(folder: str) -> None:
    """Make renames in *folder* survive a power cut, where the system can.

    Raises:
        OSError: The disk failed.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder may be open for writing and closed for reading
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(handle)


def _settle_folder(path: str) -> None:
    # The file has been replaced: to report it as left as it was would be wrong, and the journal knows both states.
    with contextlib.suppress(OSError):
        sync_folder(os.path.dirname(path))


def _check_writable(path: str) -> None:
    # A rename needs rights to the folder alone; a file without the right to write is protected on purpose.
    if not stat.S_IMODE(os.lstat(path).st_mode) & 0o222:
        raise ConflictError(f"{path} is read-only: it was left as it is; allow writing to it and run again")


def _check(path: str, expected: bytes | None) -> None:
    # As late as can be: only one system call comes after it.
    # `read` sees nothing where a link or a pipe is, and a rename would put the new file in its place.
    if read_file(path) != expected or (expected is None and os.path.lexists(path)):
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
    found, made = os.lstat(source), os.fstat(handle)
    mode = stat.S_IMODE(found.st_mode)
    # The new file does not always have our owner and group: a folder may hand down its group.
    if (found.st_uid, found.st_gid) != (made.st_uid, made.st_gid) and not _give(handle, found):
        mode &= ~(stat.S_ISUID | stat.S_ISGID)  # they would lend the rights of another user
    if hasattr(os, "listxattr"):
        _copy_extended(source, handle)
    os.fchmod(handle, mode)


def _give(handle: int, found: os.stat_result) -> bool:
    """Give the file the owner and group of *found*, as far as permitted, and return whether both were set."""
    for owner in (found.st_uid, -1):
        try:
            os.fchown(handle, owner, found.st_gid)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
        else:
            return owner != -1
    return False


def _copy_extended(source: str, handle: int) -> None:
    try:
        names = os.listxattr(source, follow_symlinks=False)
    except OSError:
        return  # a file system without attributes has none to lose
    for name in set(os.listxattr(handle)).difference(names):
        if not name.startswith(_NOT_OURS):  # handed down by the folder, as its default access list is
            os.removexattr(handle, name)
    for name in names:
        try:
            os.setxattr(handle, name, os.getxattr(source, name, follow_symlinks=False))
        except PermissionError:
            if not name.startswith(_NOT_OURS):
                raise
