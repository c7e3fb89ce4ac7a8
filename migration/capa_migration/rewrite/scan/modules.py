"""Modules of one project: the file that an import statement means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from capa_codemods.api import Project


class Modules:
    """The modules of one project, by the names under which its files import them."""

    def __init__(self, project: Project) -> None:
        """Look among the files of *project*."""
        self._project = project
        self._files = frozenset(project.files)
        self._places: dict[tuple[str, str, int], Sequence[str]] = {}

    def places(self, path: str, module: str, level: int) -> Sequence[str]:
        """Return where *module*, as the file at *path* imports it after *level* dots, may be: paths without endings.

        At each is a module, a package or a folder. The empty path is the root.
        """
        folder = path.rpartition("/")[0]
        key = (folder, module, level)
        if key not in self._places:
            folders = self._folders_above(folder, level)
            places = ("/".join(filter(None, (one, *module.split(".")))) for one in folders)
            self._places[key] = tuple(one for one in places if one in self._folders or self.at(one))
        return self._places[key]

    def at(self, place: str) -> str | None:
        """Return the file of the module or package at *place*, a path without an ending; None if there is none."""
        if place and (file := f"{place}.py") in self._files:
            return file
        package = f"{place}/__init__.py" if place else "__init__.py"
        return package if package in self._files else None

    def named(self, path: str, module: str, level: int) -> str | None:
        """Return the file that *module* means in the file at *path*; None if it is none of the project."""
        return next(filter(None, map(self.at, self.places(path, module, level))), None)

    def _folders_above(self, folder: str, level: int) -> Sequence[str]:
        """Return the folders from which a file in *folder* imports by a name after *level* dots, nearest first."""
        if not level:
            return self._project.import_folders(folder)
        for _ in range(level - 1):
            folder = folder.rpartition("/")[0]
        return [folder]

    @cached_property
    def _folders(self) -> frozenset[str]:
        """The folders that hold a file, at any depth."""
        found = {""}
        for path in self._files:
            folder = path.rpartition("/")[0]
            while folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)
