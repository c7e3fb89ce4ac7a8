"""Follow objects of an SDK from one file of a project into another, where an import makes it certain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial

from capa_codemods.engine.python_file import PythonFile
from capa_codemods.engine.write import read
from capa_codemods.errors import UnreadableError
from capa_codemods.project import Project
from capa_migration.scan.moved import Moved
from capa_migration.scan.origins import Origins, module_scope
from capa_migration.scan.takers import Takers


class Neighbours:
    """What each file of one project hands to those that import it."""

    def __init__(self, project: Project, moved: Moved) -> None:
        """Look among the files of *project*; *moved* are the names that stand for those of an SDK by now."""
        self._project = project
        self._moved = moved
        self._files = frozenset(project.files)
        self._returns = {old: new for one in project.names.maps for old, new in one.returns.items()}
        self._returns.update(moved.returns)
        self._exports: dict[str, dict[str, str]] = {}
        self._concerned: set[str] = set()

    def learn(self, naming: Iterable[str], takers: Takers) -> frozenset[str]:
        """Find out who hands objects of an SDK on to whom, and return the files that may hold one.

        Args:
            naming: The files that name an SDK themselves.
            takers: Who imports what, of all files of the project.
        """
        told: defaultdict[str, set[str]] = defaultdict(set)
        pending = set(naming)
        while pending:
            self._concerned |= pending
            for path in pending:
                self._exports.pop(path, None)  # more may be known by now of those that it takes from
            fresh = {path: self._handed(path) - told[path] for path in sorted(pending)}
            for path, names in fresh.items():
                told[path] |= names
            pending = {taker for path, names in fresh.items() if names for taker in takers.of(path, names)}
        return frozenset(self._concerned)

    def _handed(self, path: str) -> set[str]:
        """Return the names of the module at *path* that are something of an SDK, other modules of the tree aside."""
        return {name for name, origin in self.exports(path).items() if not origin.startswith("@")}

    def origins(self, path: str) -> Origins:
        """Return what follows the names in the file at *path*."""
        roots = self._project.names.roots
        own = {root: one for root, one in roots.items() if not self._project.refusal(root, path)}
        return Origins({**own, **self._moved.roots}, self._returns, partial(self._origin, path))

    def exports(self, path: str) -> dict[str, str]:
        """Return the names that the module at *path* binds to something of an SDK, each with its origin."""
        if path not in self._concerned:
            return {}
        if path not in self._exports:
            self._exports[path] = {}  # two modules may import each other: what is not known yet is unknown
            self._exports[path] = dict(self._bound(path))
        return self._exports[path]

    def _bound(self, path: str) -> Iterator[tuple[str, str]]:
        if not PythonFile.claims(path):
            return  # nothing is imported from a notebook
        try:
            data = read(f"{self._project.root}/{path}")
            tree = PythonFile(path, data).tree if data is not None else None
        except (OSError, UnreadableError):
            return  # the scan of that file says why
        if tree is not None:
            names = module_scope(tree, self.origins(path)).names
            yield from ((name, origin) for name, origin in names.items() if origin)

    def _origin(self, path: str, module: str, level: int, name: str) -> str | None:
        if module.startswith("@"):
            return self.exports(module[1:]).get(name)
        for folder in self._folders(path, level):
            place = "/".join(part for part in (folder, module.replace(".", "/")) if part)
            if inner := self._module_at(f"{place}/{name}" if place else name):
                return f"@{inner}"
            if found := self._module_at(place):
                return self.exports(found).get(name)
        return None

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
