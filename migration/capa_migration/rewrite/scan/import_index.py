"""Index of the imports of a tree by name, read from the bytes of its files.

A file needs to be parsed only if it names an SDK, or imports something that comes from one.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

_GAP = rb"(?:[ \t\f]|\\(?:\r\n|\r|\n))*"
# `from … import …`, with comments and line ends between; in parentheses a comment may hold a `)`. The names are
# searched again: prose may open a parenthesis that is closed behind the next import.
_FROM = re.compile(
    rb"from(?!\w)((?:[^\r\n;#'\"(){}=\\]|\\(?:\r\n|\r|\n)){0,400}?)(?<!\w)import(?!\w)"
    rb"(?=" + _GAP + rb"\(((?:#[^\n]*|[^)#])*)|((?:[^\r\n;#\\]|\\(?:\r\n|\r|\n))*))"
)
# `import …`; the end of `from … import …`, which nearly all are, is ruled out at once by the text before it.
_IMPORT = re.compile(rb"import(?<![\w.)] import)(?=[ \t\f\\])((?:[^\r\n;#\\]|\\(?:\r\n|\r|\n))*)")
# The bytes before an `import` that begins a statement; the last one ends a byte order mark.
_BEGINNING = b"\r\n;:\xbf"
_INDENT = 100
_NO_PACKAGE = b"."
"""Stands for the package of a module that is imported without one: `import tasks`."""
_COMMENT = re.compile(rb"#[^\n]*")
_BLANKS = b" \t\f\r\n\\"
_WORD = re.compile(rb"[^\s.,\\()#;]+")

NamedImport = tuple[bytes, bytes]
"""The last part of a module's name with a name imported from it."""


class ImportIndex:
    """The files of one tree by the names that they import."""

    def __init__(self) -> None:
        self._by_name: defaultdict[bytes, list[tuple[bytes, str]]] = defaultdict(list)
        self._sources: set[bytes] = set()
        self._packages: set[str] = set()

    def note(self, path: str, imports: Iterable[NamedImport]) -> None:
        """Add the *imports* of the file at *path*."""
        if path.endswith("__init__.py"):
            self._packages.add(path.rpartition("/")[0])
        for source, name in imports:
            self._by_name[name].append((source, path))
            self._sources.add(source)

    def may_be_imported(self, path: str) -> bool:
        """Return whether a file may import the module at *path*, or something from it."""
        module = _names(path)[1]
        return path.endswith("__init__.py") or module in self._sources or module in self._by_name

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


class ImportText(NamedTuple):
    """An import statement as the bytes of a file show it, or something that only looks like one.

    Attributes:
        start: Its place.
        module: The module of `from … import …`, with its dots; None for `import …`.
        names: The names, as they are written.
    """

    start: int
    module: bytes | None
    names: bytes


def import_texts(data: bytes) -> Iterator[ImportText]:
    """Yield the import statements of *data*, Python: none is missed, and some may be none."""
    for found in _FROM.finditer(data):
        yield ImportText(found.start(), found[1].translate(None, _BLANKS), found[2] or found[3] or b"")
    for found in _IMPORT.finditer(data):
        before = data[max(0, found.start() - _INDENT) : found.start()].rstrip(b" \t\f")
        if not before or before[-1] in _BEGINNING or before.endswith(b"lazy"):
            yield ImportText(found.start(), None, found[1])


def named_imports(texts: Iterable[ImportText]) -> set[NamedImport]:
    """Return the imports *texts* by name; possibly also pairs that are none."""
    found: set[NamedImport] = set()
    for _, module, names in texts:
        found.update(_pairs(module, names))
    return found


@lru_cache(maxsize=10_000)
def _pairs(module: bytes | None, names: bytes) -> tuple[NamedImport, ...]:
    if module is None:
        return tuple(map(_last_two, names.split(b",")))
    last = module.rpartition(b".")[2]
    return tuple((last, name) for name in _WORD.findall(names))


def imported_names(data: bytes) -> Iterator[tuple[int, str, int, str]]:
    """Yield the names that *data*, Python, imports from modules, each as its place, the module, its level, and itself.

    Of `import a.b` that is `a`, from no module; of `import a.b as c` it is `b`. Possibly also names that are none.
    """
    for start, module, names in import_texts(data):
        for words in _items(names):
            if module is not None:
                name = module.lstrip(b".")
                yield start, _text(name), len(module) - len(name), _text(words[0])
            else:
                parts = words[: words.index(b"as")] if b"as" in words else words[:1]
                yield start, _text(b".".join(parts[:-1])), 0, _text(b"".join(parts[-1:]))


def _items(names: bytes) -> Iterator[list[bytes]]:
    """Yield the words of each item of the list *names*, which may hold comments."""
    for item in _COMMENT.sub(b"", names).split(b",") if b"#" in names else names.split(b","):
        if words := _WORD.findall(item):
            yield words


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def _last_two(item: bytes) -> NamedImport:
    """Return the last two parts of the name in an *item* of `import a.b, c as d`."""
    words = _WORD.findall(item)
    parts = words[: words.index(b"as")] if b"as" in words else words
    return (parts[-2] if len(parts) > 1 else _NO_PACKAGE), (parts[-1] if parts else b"")


def _names(path: str) -> tuple[bytes, bytes]:
    """Return the last two parts of the name under which the module at *path* is imported."""
    parts = os.fsencode(path).rpartition(b".")[0].removesuffix(b"/__init__").rsplit(b"/", 2)
    return (parts[-2] if len(parts) > 1 else b""), parts[-1]
