"""Names of one file that other files of its tree use: the files that import them, patch them or export them again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from capa_codemods.read.files import read_file
from capa_codemods.read.tests import is_test, is_test_path
from capa_codemods.sdks.passed_on import passes_on
from capa_codemods.sdks.word_search import search_for

_PYTHON = (".py", ".pyi", ".ipynb")
_may_import = search_for([b"import_"])
"""The common part of `import_module`, `import_string` and `__import__`."""
_may_patch = search_for([b"patch"])
_IMPORT = re.compile(rb"\bfrom[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n;#]*)")


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
        self._passing_on: dict[str, bool] = {}
        self._importers: dict[Export, str | None] = {}
        self._users: dict[Export, Sequence[str]] = {}

    def importer_of(self, path: str, name: str) -> str | None:
        """Return another file that may import *name* from the Python file at *path*; None if there is none."""
        key = Export(path, name)
        if key not in self._importers:
            self._importers[key] = next(self._naming(key, self._files), None)
        return self._importers[key]

    def users_of(self, export: Export) -> Sequence[str]:
        """Return the files that may pass what *export* names to a call that patches or imports."""
        if export not in self._users:
            self._users[export] = tuple(self._naming(export, self.passing_on))
        return self._users[export]

    def exports_of(self, path: str, name: str) -> list[Export]:
        """Return *name* of the module at *path*, and the names by which the packages around it export the same."""
        found = [Export(path, name)]
        folder = path.rpartition("/")[0]
        while folder:
            package = f"{folder}/__init__.py"
            if package != path and package in self._packages:
                data = self._read(package)
                found += [Export(package, new) for one in found for new in _exported(data, one)]
            folder = folder.rpartition("/")[0]
        return found

    def passes_on(self, path: str, data: bytes) -> bool:
        """Return whether the file at *path*, which holds *data*, passes names to calls that patch or import.

        Code outside tests counts for imports alone. The answer is remembered.
        """
        found = self._passing_on.get(path)
        if found is None:
            is_user = is_test_path(path) or _may_import(data) or (_may_patch(data) and is_test(path, data))
            found = self._passing_on[path] = is_user and passes_on(data)
        return found

    @cached_property
    def passing_on(self) -> Sequence[str]:
        """The files of which `passes_on` is true."""
        known = self._passing_on
        return tuple(
            path
            for path in self._files
            if path.endswith(_PYTHON)
            and (known[path] if path in known else self.passes_on(path, self._read(path)))
        )

    @cached_property
    def _packages(self) -> frozenset[str]:
        return frozenset(path for path in self._files if path.endswith("/__init__.py"))

    def _read(self, path: str) -> bytes:
        try:
            return read_file(f"{self._root}/{path}") or b""
        except OSError:
            return b""  # the rewrite of that file reports it

    def _naming(self, export: Export, among: Sequence[str]) -> Iterator[str]:
        """Yield the other files *among* those that hold the name and the module's, or cannot be read."""
        path, name = export
        stem = module_name(path).encode()
        word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
        holds_stem, holds_name = search_for([stem]), search_for([name.encode()])
        for other in among:
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


def _exported(data: bytes, export: Export) -> Iterator[str]:
    """Yield the names under which *data*, a package around, imports what *export* names."""
    renamed = re.compile(rb"\b" + re.escape(export.name.encode()) + rb"\b(?:\s+as\s+(\w+))?")
    for found in _IMPORT.finditer(data):
        if found[1].rpartition(b".")[2] != module_name(export.path).encode():
            continue
        if found[2].strip() == b"*":
            yield export.name
        yield from ((one[1] or one[0]).decode() for one in renamed.finditer(found[2]))
