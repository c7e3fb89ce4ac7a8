"""Index of the imports of a tree by name, read from the bytes of its files.

A file needs to be parsed only if it names an SDK, or imports something that comes from one.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_GAP = rb"(?:[ \t\f]|\\(?:\r\n|\r|\n))*"
# `from … import …`, with comments and line ends between; in parentheses a comment may hold a `)`.
_FROM = re.compile(
    rb"from(?!\w)((?:[^\r\n;#'\"(){}=\\]|\\(?:\r\n|\r|\n)){0,400}?)(?<!\w)import(?!\w)"
    rb"(?:" + _GAP + rb"\(((?:#[^\n]*|[^)#])*)|((?:[^\r\n;#\\]|\\(?:\r\n|\r|\n))*))"
)
# `import …`; the end of `from … import …`, which nearly all are, is ruled out at once by the text before it.
_IMPORT = re.compile(rb"import(?<![\w.)] import)(?=[ \t\f\\])((?:[^\r\n;#\\]|\\(?:\r\n|\r|\n))*)")
# The bytes before an `import` that begins a statement; the last one ends a byte order mark.
_BEGINNING = b"\r\n;:\xbf"
_INDENT = 100
_NO_PACKAGE = b"."
"""Stands for the package of a module that is imported without one: `import tasks`."""
_WORD = re.compile(rb"[^\s.,\\()#;]+")


class ImportIndex:
    """The files of one tree by the names that they import."""

    def __init__(self) -> None:
        self._by_name: defaultdict[bytes, list[tuple[bytes, str]]] = defaultdict(list)
        self._packages: set[str] = set()

    def note(self, path: str, data: bytes) -> None:
        """Add the imports of the file at *path*, which holds *data*."""
        if path.endswith("__init__.py"):
            self._packages.add(path.rpartition("/")[0])
        for found in set(_imports(data)):
            self._by_name[found[1]].append((found[0], path))

    def of(self, path: str, names: Iterable[str]) -> set[str]:
        """Return the files that may import one of *names* from the module at *path*, or the module itself."""
        package, module = _names(path)
        wanted = [(package, module), (module, b"*"), *((module, name.encode()) for name in names)]
        return {
            importer
            for source, name in wanted
            for found, importer in self._by_name.get(name, ())
            if found in {source, b""}  # an empty name: dots alone, for the package around
        } | self._importing_whole(path, module)

    def _importing_whole(self, path: str, module: bytes) -> set[str]:
        """Return the files that import the module at *path* by its own name alone, if that is possible."""
        folder = path.removesuffix("/__init__.py").rpartition("/")[0]
        whole = self._by_name.get(module, ()) if folder not in self._packages else ()
        return {importer for found, importer in whole if found == _NO_PACKAGE}


def _imports(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the last part of a module's name with a name imported from it, and possibly pairs that are neither."""
    for found in _FROM.finditer(data):
        module = _WORD.findall(found[1])
        for name in _WORD.findall(found[2] or found[3] or b""):
            yield module[-1] if module else b"", name
    for found in _IMPORT.finditer(data):
        before = data[max(0, found.start() - _INDENT) : found.start()].rstrip(b" \t\f")
        if not before or before[-1] in _BEGINNING:
            yield from map(_last_two, found[1].split(b","))


def _last_two(item: bytes) -> tuple[bytes, bytes]:
    """Return the last two parts of the name in an *item* of `import a.b, c as d`."""
    words = _WORD.findall(item)
    parts = words[: words.index(b"as")] if b"as" in words else words
    return (parts[-2] if len(parts) > 1 else _NO_PACKAGE), (parts[-1] if parts else b"")


def _names(path: str) -> tuple[bytes, bytes]:
    """Return the last two parts of the name under which the module at *path* is imported."""
    parts = os.fsencode(path).rpartition(b".")[0].removesuffix(b"/__init__").rsplit(b"/", 2)
    return (parts[-2] if len(parts) > 1 else b""), parts[-1]
