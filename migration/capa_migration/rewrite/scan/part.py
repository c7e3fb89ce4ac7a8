"""Part of a file that can hold a use of an SDK, so that the rest need not be followed.

A statement at the top of a module can neither use an SDK nor bind a name to one unless it imports one, or holds a word
that the module binds to one: an object is reached by a name, also one in an annotation in quotes. The words are those
of the bytes, as for the sieve; a word in a comment takes its statement in too.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from capa_codemods.api import PythonFile, Sieve
from capa_migration.rewrite.scan.import_index import imported_names
from capa_migration.rewrite.scan.origins import Origins

_WORD = re.compile(rb"\w+")
_LETTER = re.compile(rb"[\w\x80-\xff]")


class _Bound(Protocol):
    @property
    def names(self) -> Mapping[str, str]:
        """The names of the module, each with its origin."""


B = TypeVar("B", bound=_Bound)
_Bind = Callable[[ast.Module, Origins], B]


def sdk_imports(data: bytes, sieve: Sieve, origins: Origins) -> list[int]:
    """Return where *data*, Python, imports an SDK, or from the project what may lead to one; in order."""
    found = {start for start in sieve.imported(data) if _word_at(data, start) in origins.roots}
    found |= {
        start
        for start, module, level, name in imported_names(data)
        if _may_lead(module, level, name, origins)
    }
    return sorted(found)


def _word_at(data: bytes, start: int) -> str:
    word = _WORD.match(data, start)
    return word[0].decode() if word else ""


def _may_lead(module: str, level: int, name: str, origins: Origins) -> bool:
    if not level and (module or name).partition(".")[0] in origins.roots:
        return False  # the sieve has found it if it is an import
    if not f"{module}{name}".isascii():
        return True  # the file may spell it in another encoding
    if name == "*":
        return any(map(origins.project.leads, origins.project.all_of(module, level).values()))
    origin = origins.project.origin(module, level, name)
    return origin is not None and origins.project.leads(origin)


def bound_part(
    file: PythonFile,
    imports: Sequence[int],
    known: Iterable[str],
    origins: Origins,
    bind: Callable[[ast.Module, Origins], B],
) -> B:
    """Return what *bind* returns for the statements of *file* that can use an SDK or bind a name to one.

    Methods that can do neither are left empty, in the tree of the file too.

    Args:
        imports: Where the file imports an SDK, as `sdk_imports` returns it.
        known: Names that the module binds to something of an SDK, as far as they are known.
        bind: Binds the names of a module.
    """
    part = _Part(file, origins)
    part.take(imports)
    words = set(known)
    bound = None
    while part.grow(words) or bound is None:
        bound = bind(part.tree, origins)
        names = bound.names.items()
        words = {name for name, origin in names if not origin or origins.project.leads(origin)}
    return bound


class _Part:
    """A part of one module, which grows by statements, and by the methods of a class one by one."""

    def __init__(self, file: PythonFile, origins: Origins) -> None:
        self._file = file
        self._origins = origins
        self._classes: list[ast.ClassDef] = []
        self._words: set[str] = set()
        self._numbers: set[int] = set()
        self._ends: dict[int, list[int]] = {}
        self._bodies: dict[int, list[ast.stmt]] = {}

    @property
    def tree(self) -> ast.Module:
        """The part as a module."""
        return ast.Module([self._file.tree.body[number] for number in sorted(self._numbers)], [])

    def grow(self, words: Iterable[str]) -> bool:
        """Take all that holds one of *words*, or a name that a class in the part binds to something of an SDK.

        Return whether there was anything new.
        """
        is_larger, fresh = False, set(words)
        while True:
            for node in self._classes:
                attributes = self._origins.attributes(node)
                if attributes is None:
                    is_larger |= self._take_methods(node)
                else:
                    fresh |= attributes
            fresh -= self._words
            if not fresh:
                return is_larger
            for word in fresh:
                # The file may spell a word of other letters in another encoding.
                places = _places(self._file.data, word.encode()) if word.isascii() else self._file.line_starts
                is_larger |= self.take(places)
            self._words |= fresh

    def take(self, offsets: Iterable[int]) -> bool:
        """Take the statements on the lines of *offsets*, and return whether one was new."""
        is_larger = False
        body = self._file.tree.body
        for line in {self._file.line_of(offset) for offset in offsets}:
            for number in self._on(line, body):
                is_larger |= number not in self._numbers
                self._numbers.add(number)
                is_larger |= self._enter(body[number], line)
        return is_larger

    def _take_methods(self, node: ast.ClassDef) -> bool:
        restored = [self._restore(one) for one in node.body]
        return any(restored)

    def _enter(self, node: ast.stmt, line: int) -> bool:
        """Take what is on *line* of the class *node*; its other methods are empty until they are taken."""
        if not isinstance(node, ast.ClassDef):
            return False
        if id(node.body) not in self._ends:
            self._classes.append(node)
            for one in node.body:
                if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self._bodies[id(one)] = one.body
                    one.body = []
        inner = [node.body[number] for number in self._on(line, node.body)]
        taken = [self._restore(one) | self._enter(one, line) for one in inner]
        return any(taken)

    def _restore(self, node: ast.stmt) -> bool:
        body = self._bodies.pop(id(node), None)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and body is not None:
            node.body = body
        return body is not None

    def _on(self, line: int, body: list[ast.stmt]) -> Iterator[int]:
        """Yield the numbers of the statements of *body* that are on *line*."""
        if id(body) not in self._ends:
            self._ends[id(body)] = [node.end_lineno or node.lineno for node in body]
        ends = self._ends[id(body)]
        number = bisect_left(ends, line)
        while number < len(ends) and _first_line(body[number]) <= line:
            yield number
            number += 1


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", ())
    return decorators[0].lineno if decorators else node.lineno


def _places(data: bytes, word: bytes) -> Iterator[int]:
    """Yield the places of *word* in *data*, where it is no part of a longer one."""
    start = data.find(word)
    while start >= 0:
        end = start + len(word)
        if not (_LETTER.match(data, start - 1) and start) and not _LETTER.match(data, end):
            yield start
        start = data.find(word, end)
