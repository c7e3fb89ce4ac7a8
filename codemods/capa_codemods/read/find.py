"""List the files of a tree: from git where there is git, else by walking.

Never leaves the tree: links to folders are not followed, so a loop of links is not a loop here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from capa_codemods.read.git import listed_files

_SKIPPED = frozenset(
    {
        *(
            ".git",
            ".hg",
            ".svn",
            ".bzr",
            ".capa",
            ".capa-migrate",
            ".tox",
            ".nox",
            ".venv",
            ".eggs",
            ".direnv",
        ),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"),
        *("__pycache__", "node_modules", "site-packages", ".ipynb_checkpoints"),
    }
)
_SKIPPED_AT_ROOT = frozenset({"build", "dist"})


def list_files(root: str, excluded: Iterable[str] = (), folders: list[str] | None = None) -> list[str]:
    """Return the files below *root*, relative to it, with forward slashes, in a stable order.

    An entry that ends with `/` is a folder: a nested repository, or one that cannot be listed.

    Args:
        root: Absolute path of a folder.
        excluded: Folders or files, relative, that are left out.
        folders: Filled with the folders whose entries were listed, each with a `/` at its end but the root; with none
            where git lists the files.
    """
    listed = listed_files(root)
    if listed is None:
        listed = list(_walk(root, [] if folders is None else folders))
    return without(sorted(listed), excluded)


def without(found: list[str], excluded: Iterable[str]) -> list[str]:
    """Return the files *found* less those that are *excluded*: folders or files, relative."""
    left_out = tuple(os.path.normpath(path.strip("/")) for path in excluded)
    if not left_out:
        return found
    inside = tuple(f"{path}/" for path in left_out)
    return [path for path in found if path not in left_out and not path.startswith(inside)]


def _walk(root: str, walked: list[str]) -> Iterator[str]:
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            names, inner = _entries(f"{root}/{folder}")
        except FileNotFoundError:
            continue
        except OSError:
            yield folder or "./"  # listed, so that the caller can report that it was not read
            continue
        walked.append(folder)
        if folder and "pyvenv.cfg" in names:
            continue  # a virtual environment of any name
        yield from [folder + name for name in names]
        skipped = _SKIPPED if folder else _SKIPPED | _SKIPPED_AT_ROOT
        folders += [f"{folder}{name}/" for name in inner if name not in skipped]


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the files in *folder* and of the folders in it."""
    names: list[str] = []
    inner: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            (inner if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
    return names, inner
