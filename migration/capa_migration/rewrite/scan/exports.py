"""Exports of a project's modules: objects of an SDK that one file imports from another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from itertools import count
from typing import NamedTuple

from capa_codemods.api import Project, PythonFile, Sieve, UnreadableError, read_file
from capa_migration.rewrite.scan.import_index import ImportIndex
from capa_migration.rewrite.scan.modules import Modules
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.part import bound_part, sdk_imports
from capa_migration.rewrite.scan.progress import FOLLOWED, Progress
from capa_migration.rewrite.scan.scope import ProjectClass
from capa_migration.rewrite.scan.walk import module_scope


class Exports:
    """The names of each file of one project that are bound to something of an SDK.

    Attributes:
        classes: Origin of a class of the project → the class, of all files that were read.
    """

    def __init__(self, project: Project, moved: Moved, sieve: Sieve) -> None:
        """Search the files of *project*; *moved* maps names of adapters to those of an SDK, *sieve* finds both."""
        self._project = project
        self._moved = moved
        self._sieve = sieve
        self._modules = Modules(project)
        self._returns = {old: new for one in project.names.maps for old, new in one.returns.items()}
        self._returns.update(moved.returns)
        self.classes: dict[str, ProjectClass] = {}
        self._exports: dict[str, dict[str, str]] = {}
        self._concerned: set[str] = set()
        self._names_before: dict[str, Collection[str]] = {}
        self._leading_folders: frozenset[str] = frozenset()
        self._turns = count(1)
        self._finished: dict[str, int] = {}

    def learn(self, naming: Iterable[str], index: ImportIndex, progress: Progress) -> frozenset[str]:
        """Follow the objects of SDKs through the imports of the project, and return the files that may hold one.

        Args:
            naming: The files that name an SDK themselves.
            index: The imports of all files of the project.
            progress: Called after each file that was followed; the number of all grows.
        """
        followed: defaultdict[str, set[str]] = defaultdict(set)
        pending = set(naming)
        numbers, total = count(1), 0
        while pending:
            self._concerned |= pending
            for path in pending:
                self._names_before[path] = self._exports.pop(
                    path, {}
                ).keys()  # its sources may have gained exports
                self._finished.pop(path, None)
            self._leading_folders = self._folders_of_exports()
            asked = sorted(filter(index.may_be_imported, pending))
            total += len(asked)
            fresh = {}
            for path in asked:
                fresh[path] = self._names_of_sdks(path) - followed[path]
                progress(next(numbers), total, FOLLOWED)
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
        self._leading_folders = self._folders_of_exports()
        return frozenset(self._concerned)

    def _folders_of_exports(self) -> frozenset[str]:
        """Return the folders that hold, at any depth, a file with exports, or one that is not known to have none."""
        found: set[str] = set()
        for path in self._concerned:
            folder = path.rpartition("/")[0]
            while self._exports.get(path, True) and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def _names_of_sdks(self, path: str) -> set[str]:
        """Return the names of the module at *path* that are bound to something of an SDK."""
        return {name for name, origin in self.of(path).items() if not origin.startswith("@")}

    def origins(self, path: str) -> Origins:
        """Return the origins of the names in the file at *path*."""
        return Origins(_Roots(path, self._project, self._moved), self._returns, _View(path, self))

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
            data = read_file(f"{self._project.root}/{path}") or b""
            origins = self.origins(path)
            imports = self.imports(data, origins)
            file = PythonFile(path, data) if imports else None
        except (OSError, UnreadableError):
            return  # the scan of that file reports it
        if file is not None:
            names = bound_part(file, imports, self.known(path), origins, module_scope).names
            yield from ((name, origin) for name, origin in names.items() if self.leads(origin))

    def known(self, path: str) -> Collection[str]:
        """Return the names that the module at *path* binds to something of an SDK, as far as it was followed."""
        return self._exports.get(path) or self._names_before.get(path, ())

    def imports(self, data: bytes, origins: Origins) -> list[int]:
        """Return where *data*, Python, imports an SDK, or what may lead to one; its names have the *origins*."""
        return sdk_imports(data, self._sieve, origins)

    def leads(self, origin: str) -> bool:
        """Return whether *origin* may lead to an object of an SDK; only a module of the tree may not."""
        if not origin.startswith("@"):
            return bool(origin)
        path = origin[1:]
        if self.of(path) or (path in self._exports and path not in self._finished):
            return True  # it has exports, or is being read
        return path.endswith("__init__.py") and path.rpartition("/")[0] in self._leading_folders

    def origin(self, path: str, module: str, level: int, name: str) -> str | None:
        """Return the origin of *name* of a *module*, given by its name in the file at *path* or by its origin."""
        if module.startswith("@"):
            return self._of_module(module[1:], name)
        for place in self._modules.places(path, module, level):
            if inner := self._modules.at(f"{place}/{name}" if place else name):
                return f"@{inner}"
            if found := self._modules.at(place):
                return self._export(found, name)
        return None

    def all_of(self, path: str, module: str, level: int) -> dict[str, str]:
        """Return the names that `from module import *` binds in the file at *path*, each with its origin."""
        found = self._modules.named(path, module, level)
        exports = self.of(found) if found else {}
        return {name: origin for name, origin in exports.items() if not name.startswith("_")}

    def _export(self, path: str, name: str) -> str | None:
        """Return the origin of *name* of the module at *path*."""
        return self.of(path).get(name)

    def _of_module(self, path: str, name: str) -> str | None:
        if found := self._export(path, name):
            return found
        folder = path.removesuffix("__init__.py")
        inner = self._modules.at(folder + name) if folder != path else None
        return f"@{inner}" if inner else None


class _Roots(Container[str]):
    """The names on top that are an SDK or an adapter in the file at *path*; few of them are ever asked for."""

    def __init__(self, path: str, project: Project, moved: Moved) -> None:
        self._path = path
        self._project = project
        self._moved = moved

    def __contains__(self, root: object) -> bool:
        if root in self._moved.roots:
            return True
        return root in self._project.names.roots and not self._project.refusal(str(root), self._path)


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

    def leads(self, origin: str) -> bool:
        return self.exports.leads(origin)
