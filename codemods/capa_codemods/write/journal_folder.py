"""The folder in a tree where the migration keeps its journal, its caches, its history and its report.

It is apart from `.capa`, which holds the data of the components: who deletes one must not lose the other.
"""

from __future__ import annotations

import contextlib
import os

from capa_codemods.errors import JournalError
from capa_codemods.read.files import read_file
from capa_codemods.write.private import open_private

MIGRATE_FOLDER = ".capa-migrate"


def make_migrate_folder(root: str) -> None:
    """Make the folder for the migration's files in the tree at *root*, for its owner alone and out of sight of git.

    Raises:
        JournalError: Something else has its name, or it is a link.
        OSError: It cannot be made.
    """
    folder = f"{root}/{MIGRATE_FOLDER}"
    check_folder(folder)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with contextlib.suppress(OSError):  # another user's, who has to close it, or on a disk that is read-only
        os.chmod(folder, 0o700)  # one that an earlier version made is open to others
    ignore = f"{folder}/.gitignore"
    if os.path.lexists(ignore) and read_file(ignore) != b"":
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(ignore)  # empty: a killed run may leave it so
    # Another run may make it at the same time.
    with (
        contextlib.suppress(FileExistsError),
        open(ignore, "x", encoding="ascii", opener=open_private) as file,
    ):
        file.write("*\n")


def check_folder(place: str) -> None:
    """Refuse anything at *place* but a folder: the tree is not trusted until then.

    Raises:
        JournalError: It is something else, or a link, which may lead anywhere.
    """
    if os.path.islink(place) or (os.path.lexists(place) and not os.path.isdir(place)):
        raise JournalError(f"{place} is not a folder of this tree: move it away and run again")


def sweep(root: str) -> None:
    """Delete the half-written files of killed runs next to the journal. Call it with the journal's lock held."""
    folder = f"{root}/{MIGRATE_FOLDER}"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.endswith(".tmp"):
                os.unlink(f"{folder}/{name}")
