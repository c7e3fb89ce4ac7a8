"""Exports of a project's modules: objects of an SDK that one file imports from another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import NamedTuple

from capa_codemods.api import Project, PythonFile, UnreadableError, read_file
from capa_migration.rewrite.scan.import_index import ImportIndex
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.scope import ProjectClass
from capa_migration.rewrite.scan.texts import tree_of
from capa_migration.rewrite.scan.walk import module_scope


class Exports:
    """The names of each file of one project that are bound to something of an SDK.

    Attributes:
        classes: Origin of a class of the project → the class, of all files that were read.
    """

    def __init__(self, project: Project, moved: Moved) -> None:
        """Search the files of *project*; *moved* maps names of adapters to those of an SDK."""
        self._project = project
        self._moved = moved
        self._files = frozenset(project.files)
        self._returns = {old: new for one in project.names.maps for old, new in one.returns.items()}
        self._returns.update(moved.returns)
        self.classes: dict[str, ProjectClass] = {}
        self._exports: dict[str, dict[str, str]] = {}
        self._concerned: set[str] = set()
        self._turns = count(1)
        self._finished: dict[str, int] = {}

    def learn(self, naming: Iterable[str], index: ImportIndex) -> frozenset[str]:
        """Follow the objects of SDKs through the imports of the project, and return the files that may hold one.

        Args:
            naming: The files that name an SDK themselves.
            index: The imports of all files of the project.
        """
        followed: defaultdict[str, set[str]] = defaultdict(set)
        pending = set(naming)
        while pending:
            self._concerned |= pending
            for path in pending:
                self._exports.pop(path, None)  # its sources may have gained exports
            fresh = {path: self._names_of_sdks(path) - followed[path] for path in sorted(pending)}
            for path, names in fresh.items():
                followed[path] |= names
            pending = {
                importer
                for path, names in fresh.items()
                if names
                for importer in index.of(path, names)
                if self._finished.get(importer, 0)
                < self._finished.get(path, 0)  # the others were read after these names were known
            }
        return frozenset(self._concerned)

    def _names_of_sdks(self, path: str) -> set[str]:
        """Return the names of the module at *path* that are bound to something of an SDK."""
        return {name for name, origin in self.of(path).items() if not origin.startswith("@")}

    def origins(self, path: str) -> Origins:
        """Return the origins of the names in the file at *path*."""
        roots = self._project.names.roots
        own = {root: one for root, one in roots.items() if not self._project.refusal(root, path)}
        return Origins({**own, **self._moved.roots}, self._returns, _View(path, self))

    def of(self, path: str) -> dict[str, str]:
        """Return the names that the module at *path* binds to something of an SDK, each with its origin."""
        if path not in self._concerned:
            return {}
        if path not in self._exports:
            self._exports[path] = {}  # two modules may import each other: nothing is known yet
            self._exports[path] = dict(self._bound(path))
            self._finished[path] = next(self._turns)
        return self._exports[path]

    def _bound(self, path: str) -> Iterator[tuple[str, str]]:
        if not PythonFile.claims(path):
            return  # nothing is imported from a notebook
        try:
            data = read_file(f"{self._project.root}/{path}")
            tree = tree_of(PythonFile(path, data)) if data is not None else None
        except (OSError, UnreadableError):
            return  # the scan of that file reports it
        if tree is not None:
            names = module_scope(tree, self.origins(path)).names
            yield from ((name, origin) for name, origin in names.items() if origin)

    def origin(self, path: str, module: str, level: int, name: str) -> str | None:
        """Return the origin of *name* of a *module*, given by its name in the file at *path* or by its origin."""
        if module.startswith("@"):
            return self._of_module(module[1:], name)
        for place in self._places(path, module, level):
            if inner := self._module_at(f"{place}/{name}" if place else name):
                return f"@{inner}"
            if found := self._module_at(place):
                return self.of(found).get(name)
        return None

    def all_of(self, path: str, module: str, level: int) -> dict[str, str]:
        """Return the names that `from module import *` binds in the file at *path*, each with its origin."""
        found = next(filter(None, map(self._module_at, self._places(path, module, level))), None)
        exports = self.of(found) if found else {}
        return {name: origin for name, origin in exports.items() if not name.startswith("_")}

    def _of_module(self, path: str, name: str) -> str | None:
        if found := self.of(path).get(name):
            return found
        folder = path.removesuffix("__init__.py")
        inner = self._module_at(folder + name) if folder != path else None
        return f"@{inner}" if inner else None

    def _places(self, path: str, module: str, level: int) -> Iterator[str]:
        for folder in self._folders(path, level):
            yield "/".join(part for part in (folder, module.replace(".", "/")) if part)

    def _folders(self, path: str, level: int) -> list[str]:
        folder = path.rpartition("/")[0]
        if level:
            for _ in range(level - 1):
                folder = folder.rpartition("/")[0]
            return [folder]
        return self._project.import_folders(folder)

    def _module_at(self, place: str) -> str | None:
        candidates = (f"{place}.py", f"{place}/__init__.py") if place else ("__init__.py",)
        return next((candidate for candidate in candidates if candidate in self._files), None)


class _View(NamedTuple):
    """The project as seen from the file at `path`."""

    path: str
    exports: Exports

    @property
    def classes(self) -> dict[str, ProjectClass]:
        return self.exports.classes

    def origin(self, module: str, level: int, name: str) -> str | None:
        return self.exports.origin(self.path, module, level, name)

    def all_of(self, module: str, level: int) -> Mapping[str, str]:
        return self.exports.all_of(self.path, module, level)
