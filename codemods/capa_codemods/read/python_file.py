"""Read a Python file: its import statements and its strings, each with its place in the bytes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from capa_codemods.errors import UnreadableError
from capa_codemods.read.document import Document
from capa_codemods.read.facts import ImportedName, ImportStatement, StringUse
from capa_codemods.read.lazy_tables import IMPORTERS, lazy_keys, lazy_tables
from capa_codemods.read.pieces import pieces_around
from capa_codemods.read.string_uses import reaches, string_uses
from capa_codemods.read.syntax import Places, parse
from capa_codemods.sdks.names import Names

_GAP = rb"(?:[ \t\f]|\\(?:\r\n|\r|\n))"
_DOTTED = rb"[^\W\d]\w*(?:" + _GAP + rb"*\." + _GAP + rb"*[^\W\d]\w*)*"
_FROM = re.compile(rb"from" + _GAP + rb"+(" + _DOTTED + rb")")
_NAME = re.compile(_DOTTED)
_LITERAL = re.compile(rb"""[rRuU]?("{3}|'{3}|"|')""")

_BLOCK = b"class _:\n"
_WORTH_CUTTING = 0.9
"""The share of a file up to which its pieces are parsed instead."""

# A file that holds none of this is no newer than Python 3.11, but broken: no need to try a slower parser.
_NEWER = re.compile(
    rb"""^[ \t]*type[ \t]+\w|\b(?:def|class)[ \t]+\w+[ \t]*\[|\b[rR]?[fFtT][rR]?["']""", re.MULTILINE
)

_BLOCKS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Module: ("body",),
    ast.FunctionDef: ("body",),
    ast.AsyncFunctionDef: ("body",),
    ast.ClassDef: ("body",),
    ast.If: ("body", "orelse"),
    ast.For: ("body", "orelse"),
    ast.AsyncFor: ("body", "orelse"),
    ast.While: ("body", "orelse"),
    ast.With: ("body",),
    ast.AsyncWith: ("body",),
    ast.Try: ("body", "handlers", "orelse", "finalbody"),
    ast.TryStar: ("body", "handlers", "orelse", "finalbody"),
    ast.ExceptHandler: ("body",),
    ast.Match: ("cases",),
    ast.match_case: ("body",),
}


class PythonFile(Document):
    """A module, a script or a stub file."""

    suffixes = (".py", ".pyi", ".pyw")
    is_python = True

    def __init__(self, path: str, data: bytes, tree: ast.Module | None = None) -> None:
        """Parse *data* and execute none of it.

        Args:
            path: Relative to the root of the tree.
            data: The bytes on disk.
            tree: The syntax tree, if it is known, or a part of it.

        Raises:
            UnreadableError: It is no Python, of this interpreter or a newer one, or too large.
        """
        super().__init__(path, data)
        self.places = Places(data, self.line_starts)
        try:
            self.tree: ast.Module | None = tree or parse(data)
        except UnreadableError as error:
            self.tree = None
            if not isinstance(error.__cause__, SyntaxError) or not self._read_newer():
                raise

    @classmethod
    def in_part(cls, path: str, data: bytes, names: Names) -> PythonFile | None:
        """Return the file with no more in its tree than the definitions that name an SDK.

        Parsing costs most, and many files that name an SDK stay as they are. None if it must be read as a
        whole. It is no proof that the rest of the file is Python.
        """
        if _is_lazy(data):
            return None
        pieces = pieces_around(data, [*names.sieve.imported(data), *names.sieve.quoted(data)])
        if pieces is None or sum(end - start for start, end in pieces) > len(data) * _WORTH_CUTTING:
            return None
        try:
            file = cls(path, data, ast.Module([], []))
            body = [node for piece in pieces for node in file._parsed(*piece)]
        except UnreadableError:
            return None
        file.tree = ast.Module(body, [])
        return file if file.places.encoding is None else None

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* may import or quote one of the roots."""
        return names.sieve.imports_or_quotes(data)

    def imports(self, offsets: Sequence[int]) -> Sequence[ImportStatement]:
        """Return the import statements on the lines of *offsets*, which are sorted."""
        if self.tree is None:
            return self._newer_imports
        lines = [self.line_of(offset) for offset in offsets]
        return tuple(
            self._import(node) for node in walk_statements(self.tree, lines) if isinstance(node, _IMPORTS)
        )

    def strings(self, offsets: Sequence[int]) -> Sequence[StringUse]:
        """Return the string literals on the lines of *offsets*, with their uses; of f-strings the beginning."""
        if self.tree is None:
            return self._newer_strings
        lines = [self.line_of(offset) for offset in offsets]
        may_be_lazy = _is_lazy(self.data)
        tables = lazy_tables(self.tree) if may_be_lazy else frozenset()
        keys = lazy_keys(self.tree) if may_be_lazy else frozenset()
        return tuple(
            self._string(node, use._replace(place="table") if id(node) in keys else use)
            for node, use in string_uses(self.tree, lines, tables)
        )

    def text_of(self, node: ast.Constant) -> tuple[int, int] | None:
        """Return where the text of the string literal *node* begins and ends, without its quotes.

        None if it cannot be edited in place: it is joined from parts, or spelt with escapes.
        """
        start = self.places.offset(node.lineno, node.col_offset)
        end = self.places.offset(node.end_lineno or 0, node.end_col_offset or 0)
        opened = _LITERAL.match(self.data, start)
        if opened is None:
            return None
        place = opened.end(), end - len(opened[1])
        return place if self.data[slice(*place)] == str(node.value).encode(errors="replace") else None

    def _parsed(self, start: int, end: int) -> list[ast.stmt]:
        """Return the statements between *start*, where a line begins, and *end*."""
        before = b"\n" * (self.line_of(start) - 1)
        if not self.data.startswith(b" ", start):
            return parse(before + self.data[start:end]).body
        block, *others = parse(before[:-1] + _BLOCK + self.data[start:end]).body
        assert isinstance(block, ast.ClassDef)  # noqa: S101 - it is `_BLOCK`
        return [*block.body, *others]

    def _read_newer(self) -> bool:
        """Read a file that is newer than this interpreter, and return whether that was possible."""
        if self.places.encoding is not None or not _NEWER.search(self.data):
            return False
        from capa_codemods.read.newer_syntax import read_newer

        found = read_newer(self.data)
        if found is not None:
            self._newer_imports, self._newer_strings = found
        return found is not None

    def _import(self, node: ast.Import | ast.ImportFrom) -> ImportStatement:
        start = self.places.offset(node.lineno, node.col_offset)
        end = self.places.offset(node.end_lineno or 0, node.end_col_offset or 0)
        found = _FROM.match(self.data, start) if isinstance(node, ast.ImportFrom) and not node.level else None
        return ImportStatement(
            start=start,
            end=end,
            level=getattr(node, "level", None) or 0,
            is_from=isinstance(node, ast.ImportFrom),
            module=getattr(node, "module", None),
            module_start=found.start(1) if found else 0,
            module_end=found.end(1) if found else 0,
            names=tuple(self._imported(alias) for alias in node.names),
        )

    def _imported(self, alias: ast.alias) -> ImportedName:
        start = self.places.offset(alias.lineno, alias.col_offset)
        found = _NAME.match(self.data, start)
        return ImportedName(alias.name, alias.asname, start, found.end() if found else start)

    def _string(self, node: ast.Constant, use: StringUse) -> StringUse:
        place = self.text_of(node)
        return use._replace(value=str(node.value), start=place[0] if place else -1, line=node.lineno)


def _is_lazy(data: bytes) -> bool:
    return any(importer.encode() in data for importer in IMPORTERS)


_IMPORTS = (ast.Import, ast.ImportFrom)


def walk_statements(tree: ast.Module, lines: Sequence[int] | None = None) -> Iterator[ast.AST]:
    """Yield the statements of *tree*, nested ones too, on one of *lines*, which are sorted; or all.

    Expressions are not entered, so it is fast.
    """
    queue: list[ast.AST] = [tree]
    while queue:
        node = queue.pop()
        yield node
        for block in _BLOCKS.get(type(node), ()):
            inner = getattr(node, block)
            queue.extend(inner if lines is None else [one for one in inner if reaches(one, lines)])
