"""Names of one file that other files of its tree use: the files that import them, patch them or export them again."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from capa_codemods.read.files import read_file
from capa_codemods.read.tests import is_test, is_test_path
from capa_codemods.sdks.passed_on import passes_on
from capa_codemods.sdks.word_search import search_for

_RUNNING = (".py", ".ipynb")
_PYTHON = (*_RUNNING, ".pyi")
_may_import = search_for([b"import_"])
"""The common part of `import_module`, `import_string` and `__import__`."""
_may_patch = search_for([b"patch"])
_FROM = re.compile(rb"from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n;#]*)")
_IMPORT = re.compile(
    rb"import[ \t]+([\w.]+(?:[ \t]+as[ \t]+\w+)?(?:[ \t]*,[ \t]*[\w.]+(?:[ \t]+as[ \t]+\w+)?)*)"
)
_WORD = re.compile(rb"\w+")
_ALL = "*"


class Export(NamedTuple):
    """A name by which the module at *path* has a thing, its own or one that it imports."""

    path: str
    name: str


class SharedNames:
    """The use that the *files* of the tree at *root* make of names of one another."""

    def __init__(self, root: str, files: Sequence[str]) -> None:
        """Read the files when they are asked for."""
        self._root = root
        self._files = files
        self._imports_of: dict[str, set[tuple[str, str]] | None] = {}
        self._importers: dict[Export, str | None] = {}
        self._texts: dict[str, bytes] = {}

    def importer_of(self, path: str, name: str) -> str | None:
        """Return another file that may import *name* from the Python file at *path*; None if there is none."""
        key = Export(path, name)
        if key not in self._importers:
            self._importers[key] = next(self._naming(key), None)
        return self._importers[key]

    def users_of(self, export: Export) -> Sequence[str]:
        """Return the other files that import *export*, or its module, and may patch or import what it names."""
        module = module_name(export.path)
        keys = [(module, export.name), (module, _ALL), ("", module)]
        if export.path.endswith("__init__.py"):
            keys.append(("", export.name))
        found = dict.fromkeys(path for key in keys for path in self._users.get(key, ()))
        return [path for path in found if path != export.path]

    def exports_of(self, path: str, name: str) -> list[Export]:
        """Return *name* of the module at *path*, and the names by which the packages around it export the same."""
        found = [Export(path, name)]
        folder = path.rpartition("/")[0]
        while folder:
            package = f"{folder}/__init__.py"
            if package != path and package in self._packages:
                if package not in self._texts:
                    self._texts[package] = self._read(package)
                data = self._texts[package]
                found += [Export(package, new) for one in found for new in _exported(data, one)]
            folder = folder.rpartition("/")[0]
        return found

    def passes_on(self, path: str, data: bytes) -> bool:
        """Return whether the file at *path*, which holds *data*, passes names to calls that patch or import.

        Code outside tests counts for imports alone. The answer is remembered, with what the file imports.
        """
        if path not in self._imports_of:
            is_user = is_test_path(path) or _may_import(data) or (_may_patch(data) and is_test(path, data))
            self._imports_of[path] = _imports(data) if is_user and passes_on(data) else None
        return self._imports_of[path] is not None

    @cached_property
    def _users(self) -> Mapping[tuple[str, str], Sequence[str]]:
        """Last part of a module, and a name imported from it → the files that do so and pass names on.

        The first is empty for a module itself, and for names from the package of the file.
        """
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for path in self._files:
            if path not in self._imports_of and path.endswith(_RUNNING):
                self.passes_on(path, self._read(path))
            for key in self._imports_of.get(path) or ():
                found[key].append(path)
        return found

    @cached_property
    def _packages(self) -> frozenset[str]:
        return frozenset(path for path in self._files if path.endswith("/__init__.py"))

    def _read(self, path: str) -> bytes:
        try:
            return read_file(f"{self._root}/{path}") or b""
        except OSError:
            return b""  # the rewrite of that file reports it

    def _naming(self, export: Export) -> Iterator[str]:
        """Yield the other files that hold the name of *export* and its module's, or cannot be read."""
        path, name = export
        stem = module_name(path).encode()
        word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
        holds_stem, holds_name = search_for([stem]), search_for([name.encode()])
        for other in self._files:
            if other.endswith(_PYTHON) and other != path:
                try:
                    data = read_file(f"{self._root}/{other}") or b""
                except OSError:
                    yield other
                    continue
                is_importer = holds_stem(data) or (path.endswith("__init__.py") and b"from ." in data)
                if is_importer and holds_name(data) and word.search(data):
                    yield other


def module_name(path: str) -> str:
    """Return the last part of the name of the module at *path*."""
    return path.removesuffix("/__init__.py").rpartition("/")[2].partition(".")[0]


def _imports(data: bytes) -> set[tuple[str, str]]:
    """Return the keys of what *data* imports, as `SharedNames` has them."""
    found: set[tuple[str, str]] = set()
    for one in _FROM.finditer(data):
        module = one[1].rpartition(b".")[2].decode(errors="replace")
        names = (
            [_ALL] if b"*" in one[2] else [word.decode(errors="replace") for word in _WORD.findall(one[2])]
        )
        found.update((module, name) for name in names)
        found.update(("", name) for name in names)  # which may be modules
    for one in _IMPORT.finditer(data):
        for name in one[1].split(b","):
            found.add(("", name.split()[0].rpartition(b".")[2].decode(errors="replace")))
    return found


def _exported(data: bytes, export: Export) -> Iterator[str]:
    """Yield the names under which *data*, a package around, imports what *export* names."""
    renamed = re.compile(rb"\b" + re.escape(export.name.encode()) + rb"\b(?:\s+as\s+(\w+))?")
    for found in _FROM.finditer(data):
        if found[1].rpartition(b".")[2] != module_name(export.path).encode():
            continue
        if found[2].strip() == b"*":
            yield export.name
        yield from ((one[1] or one[0]).decode() for one in renamed.finditer(found[2]))
