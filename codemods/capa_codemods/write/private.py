"""Files that are Capa's own: for their owner alone, whatever the umask is, because they quote the sources."""

from __future__ import annotations

import contextlib
import os


def open_private(path: str, flags: int) -> int:
    """Open *path* as `os.open` does and close it to others: an opener, for `open(path, "x", opener=open_private)`.

    A file that an earlier version left open to others is closed to them too.

    Raises:
        OSError: It cannot be opened, or it is a link.
    """
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with contextlib.suppress(OSError):  # another user's, who has to close it, or on a disk without modes
        os.fchmod(handle, 0o600)
    return handle


def write_private(path: str, data: bytes) -> None:
    """Put a file that holds *data* at *path*, in one step and for its owner alone. A link there is replaced.

    Raises:
        OSError: It cannot be written. An existing file is unchanged.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        # "x": a link planted under this name must not be followed.
        with open(temporary, "xb", opener=open_private) as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
