"""The folder in a tree where the rewrite keeps its journal and its cache."""

from __future__ import annotations

import os

from capa_codemods.errors import JournalError

FOLDER = ".capa/migrate"


def make_folder(root: str) -> None:
    """Make the folder for caches and journals in the tree at *root*, out of sight of git.

    Raises:
        JournalError: Something else has its name, or it leads out of the tree.
        OSError: It cannot be made.
    """
    above = f"{root}/.capa"
    folder = f"{root}/{FOLDER}"
    for place in (above, folder):
        if os.path.islink(place) or (os.path.lexists(place) and not os.path.isdir(place)):
            raise JournalError(f"{place} is not a folder of this tree: move it away and run again")
    os.makedirs(folder, exist_ok=True)
    ignore = f"{folder}/.gitignore"
    if not os.path.lexists(ignore):
        with open(ignore, "w", encoding="ascii") as file:
            file.write("*\n")
