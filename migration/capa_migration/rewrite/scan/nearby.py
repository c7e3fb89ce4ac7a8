"""Exports that are read when a file asks for them: for the calls of a few files in a large tree."""

from __future__ import annotations

import ast
import re
from collections import ChainMap, OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager

from capa_codemods.api import Project, PythonFile, Sieve, UnreadableError, read_file, walk_statements
from capa_migration.rewrite.scan.exports import Exports
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.origins import Origins, ProjectView
from capa_migration.rewrite.scan.scope import ProjectClass
from capa_migration.rewrite.scan.slices import Slicer
from capa_migration.rewrite.scan.walk import module_scope

_FROM = re.compile(rb"[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*\(?([^\n#]*)")
_IMPORT = re.compile(rb"[ \t]*import[ \t]+([\w.]+)")
_SHORT_BYTES = 4_096
"""Size up to which a file that names no SDK is expected to pass on what it imports."""
_MAX_STEPS = 4
_KEPT_TREES = 32
"""Trees that are kept, since a file is read for each name that another imports from it. One may take several MB."""


class NearbyExports(Exports):
    """The exports of the files that are asked for, and of those from which these import.

    An object of an SDK is followed through files that name an SDK or an adapter, and through short files and packages
    that import from such a file. A scan, which reads all files, follows it through any.
    """

    def __init__(self, project: Project, moved: Moved, sieve: Sieve) -> None:
        """Search *project*; *moved* maps names of adapters to those of an SDK, *sieve* finds both."""
        super().__init__(project, moved, sieve)
        self._known: dict[str, bool] = {}
        self._single: dict[tuple[str, str], str | None] = {}
        self._trees: OrderedDict[str, ast.Module | None] = OrderedDict()

    def of(self, path: str) -> dict[str, str]:
        """Return the names that the module at *path* binds to something of an SDK, each with its origin."""
        if self._may_export(path):
            self._concerned.add(path)
        return super().of(path)

    def leads(self, origin: str) -> bool:
        """Return whether *origin* may lead to an object of an SDK; a module that is not read yet may."""
        return bool(origin)

    def origins_of_part(self, path: str) -> Origins:
        """Return the origins of the names in a slice of the file at *path*."""
        origins = self.origins(path)
        origins.project = _Apart(origins.project)
        return origins

    def _export(self, path: str, name: str) -> str | None:
        """Return the origin of *name* of the module at *path*, by as little of that as decides it."""
        if (path, name) not in self._single:
            self._single[path, name] = None  # two modules may import each other
            self._single[path, name] = self._export_of_slice(path, name)
        return self._single[path, name]

    def _export_of_slice(self, path: str, name: str) -> str | None:
        tree = self._tree(path) if self._may_export(path) else None
        if tree is None:
            return None
        part = Slicer(tree, (), ()).sliced(name)
        found = module_scope(part, self.origins_of_part(path)).names.get(name) or None
        is_whole = found is not None and "&" in found  # a slice holds no class in full
        return self.of(path).get(name) if is_whole else found

    def _tree(self, path: str) -> ast.Module | None:
        """Return the tree of the module at *path*; None if there is none."""
        # Not `lru_cache`, which would keep this object, and the trees, until garbage is collected.
        if path not in self._trees:
            self._trees[path] = self._parsed(path)
        self._trees.move_to_end(path)
        if len(self._trees) > _KEPT_TREES:
            self._trees.popitem(last=False)
        return self._trees[path]

    def _parsed(self, path: str) -> ast.Module | None:
        try:
            return PythonFile(path, self._read(path)).tree if PythonFile.claims(path) else None
        except UnreadableError:
            return None  # the rules report it

    def may_import(self, path: str) -> bool:
        """Return whether the file at *path* names an SDK or an adapter, or imports from a file that may export one."""
        data = self._read(path)
        return self._sieve.imports_or_quotes(data) or any(map(self._may_export, self._sources(path, data)))

    def _may_export(self, path: str, steps: int = _MAX_STEPS) -> bool:
        if path not in self._known:
            self._known[path] = False  # two files may import each other
            data = self._read(path)
            passes_on = steps > 0 and (len(data) <= _SHORT_BYTES or path.endswith("__init__.py"))
            self._known[path] = self._sieve.imports_or_quotes(data) or (
                passes_on and any(self._may_export(one, steps - 1) for one in self._sources(path, data))
            )
        return self._known[path]

    def _sources(self, path: str, data: bytes) -> Iterator[str]:
        """Yield the files of the project from which the file at *path*, which holds *data*, may import."""
        for line in _lines_with_import(data):
            if found := _FROM.match(data, line):
                for place in self._modules.places(path, found[2].decode(), len(found[1])):
                    names = [
                        word.split()[0].decode(errors="replace")
                        for word in found[3].split(b",")
                        if word.strip()
                    ]
                    modules = map(
                        self._modules.at, (place, *(f"{place}/{name}".lstrip("/") for name in names))
                    )
                    yield from filter(None, modules)
            elif found := _IMPORT.match(data, line):
                yield from filter(
                    None, map(self._modules.at, self._modules.places(path, found[1].decode(), 0))
                )

    def _read(self, path: str) -> bytes:
        try:
            return read_file(f"{self._project.root}/{path}") or b""
        except OSError:
            return b""  # the rules report it


class _Apart:
    """A view of the project that keeps the classes of the file itself apart: a slice holds them in part."""

    def __init__(self, view: ProjectView) -> None:
        self.path = view.path
        self.classes: MutableMapping[str, ProjectClass] = ChainMap({}, view.classes)
        self._view = view

    def origin(self, module: str, level: int, name: str) -> str | None:
        return self._view.origin(module, level, name)

    def all_of(self, module: str, level: int) -> Mapping[str, str]:
        return self._view.all_of(module, level)

    def leads(self, origin: str) -> bool:
        return self._view.leads(origin)


def _lines_with_import(data: bytes) -> Iterator[int]:
    """Yield where each line of *data* with the word begins; a pattern for lines takes ten times as long."""
    place = data.find(b"import")
    while place >= 0:
        yield data.rfind(b"\n", 0, place) + 1
        end = data.find(b"\n", place)
        place = data.find(b"import", end) if end >= 0 else -1


@contextmanager
def without_other_functions(tree: ast.Module, lines: Sequence[int]) -> Iterator[None]:
    """Leave the functions of *tree* that hold none of *lines*, which are sorted, without bodies in a block.

    What binds attributes of objects is kept: each `__init__`, and the methods of a class that holds one of the lines.
    """
    reached = list(walk_statements(tree, lines))
    kept = {id(node) for node in reached}
    kept |= {id(method) for node in reached if isinstance(node, ast.ClassDef) for method in node.body}
    functions = [
        node for node in walk_statements(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    others = [(one, one.body) for one in functions if id(one) not in kept and one.name != "__init__"]
    for function, _ in others:
        function.body = []
    try:
        yield
    finally:
        for function, body in others:
            function.body = body
