"""The folder of Capa's own files, `.capa`: for its owner alone, and out of the user's version control."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def own(folder: Path) -> Path:
    """Make *folder* if there is none, close it to others, and return it.

    If that fails, whoever opens a file in it gets the error.
    """
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # one that an earlier version made is open to others
        with (folder / ".gitignore").open("x") as file:
            file.write("*\n")
    return folder
