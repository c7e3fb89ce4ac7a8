"""Files that name an adapter in a tree whose journal holds no rewrite: undo cannot restore them."""

from __future__ import annotations

from typing import NamedTuple

from capa_codemods.api import (
    MIGRATE_FOLDER,
    Names,
    Project,
    Sieve,
    import_map_paths,
    list_files,
    read_file,
    read_import_map,
)
from capa_migration.rewrite.python_files import names_one, python_files

_MOST_SHOWN = 3


class Unjournaled(NamedTuple):
    """The files below *root* that name an adapter though its journal holds no rewrite.

    Attributes:
        paths: Relative to the root; empty if there are none.
        packages: The adapters that they name.
    """

    root: str
    paths: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The state of the tree, with the place where the journal would be."""
        count, adapters = len(self.paths), ", ".join(self.packages)
        shown = ", ".join(self.paths[:_MOST_SHOWN]) + (", …" if count > _MOST_SHOWN else "")
        named = f"1 file names {adapters}" if count == 1 else f"{count:,} files name {adapters}"
        place = f"{self.root}/{MIGRATE_FOLDER}"
        return f"there is no rewrite in the journal, {place}, and {named}, as rewritten files do: {shown}"

    @property
    def next_step(self) -> str:
        """The way back without a journal."""
        return (
            f"`git log -G '{'|'.join(self.packages)}'` names the commit of the rewrite, which `git revert` takes back; "
            "`git restore` with these files drops one that is not committed, and all other changes in them"
        )


def unjournaled(root: str) -> Unjournaled:
    """Return the files below *root*, whose journal holds no rewrite, that name an adapter.

    Files of Capa itself, as where it is vendored, are none. A file that cannot be read is left out.

    Raises:
        ImportMapError: An adapter's import map is wrong.
    """
    names = Names(map(read_import_map, import_map_paths()))
    adapters = {one.package: Sieve([one.package]) for one in names.maps if one.modules}
    paths, packages = [], set()
    for path in python_files(Project(root, names, list_files(root))):
        try:
            data = read_file(f"{root}/{path}") or b""
        except OSError:
            continue
        if found := [package for package, sieve in adapters.items() if names_one(sieve, path, data)]:
            paths.append(path)
            packages.update(found)
    return Unjournaled(root, tuple(paths), tuple(sorted(packages)))
