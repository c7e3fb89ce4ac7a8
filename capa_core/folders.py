"""The folder of Capa's own files, `.capa`: for its owner alone, and out of the user's version control."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EACCES, ENOTDIR
from pathlib import Path


def own(folder: Path, *inner: str) -> Path:
    """Make *folder* and the *inner* ones in it, one in the other, close each to others, and return the innermost.

    If that fails, whoever opens a file in it gets the error.
    """
    place = folder
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # one that an earlier version made is open to others
        with suppress(FileExistsError), open(folder / ".gitignore", "x", opener=open_private) as file:
            file.write("*\n")
    for name in inner:
        place /= name
        with suppress(OSError):
            place.mkdir(
                mode=0o700, exist_ok=True
            )  # of each folder that `parents` makes, the mode is the user's
    return place


def check_makeable(path: Path) -> None:
    """Check that the file *path*, which is not there, and the folders that it lacks could be made.

    Raises:
        NotADirectoryError: Something else is in the place of a folder.
        PermissionError: This user may not make anything there.
    """
    folder = next(place for place in path.absolute().parents if os.path.lexists(place))
    if not folder.is_dir():
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(EACCES, os.strerror(EACCES), str(folder))


def open_private(path: str | Path, flags: int) -> int:
    """Open *path* as `os.open` does; a file that it makes is for its owner alone. An opener, for `open`.

    Raises:
        OSError: It cannot be opened.
    """
    return os.open(path, flags, 0o600)
