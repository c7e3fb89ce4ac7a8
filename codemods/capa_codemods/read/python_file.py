"""Read a Python file: its import statements and its strings, each with its place in the bytes."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from capa_codemods.errors import UnreadableError
from capa_codemods.limits import LARGEST_BYTES
from capa_codemods.read.children import blocks_in
from capa_codemods.read.document import Document
from capa_codemods.read.facts import ImportedName, ImportStatement, StringUse
from capa_codemods.read.lazy_tables import IMPORTERS, lazy_keys, lazy_tables
from capa_codemods.read.pieces import pieces_around
from capa_codemods.read.string_uses import reaches, string_uses
from capa_codemods.read.syntax import Places, is_newer, parse
from capa_codemods.read.tests import is_test
from capa_codemods.sdks.names import Names
from capa_codemods.sdks.passed_on import is_renamed, may_be_followed, passes_on

if TYPE_CHECKING:
    from capa_codemods.read.string_flow import Takes

_GAP = rb"(?:[ \t\f]|\\(?:\r\n|\r|\n))"
_DOTTED = rb"[^\W\d]\w*(?:" + _GAP + rb"*\." + _GAP + rb"*[^\W\d]\w*)*"
_FROM = re.compile(rb"(?:lazy" + _GAP + rb"+)?from" + _GAP + rb"+(" + _DOTTED + rb")")
_NAME = re.compile(_DOTTED)
_IMPORT_LINE = re.compile(rb"^(?:from|import)\b", re.MULTILINE)
_LITERAL = re.compile(rb"""[rRuU]?("{3}|'{3}|"|')""")

_BLOCK = b"class _:\n"
_WORTH_CUTTING = 0.9
"""The share of a file up to which its pieces are parsed instead."""


class PythonFile(Document):
    """A module, a script or a stub file."""

    suffixes = (".py", ".pyi", ".pyw")
    is_python = True
    reads_scripts = True
    names_sdk = True

    def __init__(self, path: str, data: bytes, tree: ast.Module | None = None) -> None:
        """Parse *data* and execute none of it.

        Args:
            path: Relative to the root of the tree.
            data: The bytes on disk.
            tree: The syntax tree, if it is known, or a part of it.

        Raises:
            UnreadableError: It is no Python, or too new to be known here, or too large.
        """
        super().__init__(path, data)
        self.places = Places(data, self.line_starts)
        self.tree = tree or parse(data)

    @classmethod
    def in_part(cls, path: str, data: bytes, names: Names) -> PythonFile | None:
        """Return the file with no more in its tree than the definitions that name an SDK.

        Parsing costs most, and many files that name an SDK stay as they are. None if it must be read as a
        whole. It is not proof that the rest of the file is Python.
        """
        quoted = names.sieve.quoted(data)
        if _is_lazy(data) or any(may_be_followed(data, start) for start in quoted) or is_renamed(data):
            return None
        # Functions of other files that are passed a module are known by the imports.
        imports = [found.start() for found in _IMPORT_LINE.finditer(data)] if quoted else []
        pieces = pieces_around(data, [*names.sieve.imported(data), *quoted, *imports])
        if pieces is None or sum(end - start for start, end in pieces) > len(data) * _WORTH_CUTTING:
            return None
        try:
            file = cls(path, data, ast.Module([], []))
            body = [node for piece in pieces for node in file._parsed(*piece)]
        except UnreadableError:
            return None
        file.tree = ast.Module(body, [])
        return file if file.places.encoding is None else None

    @staticmethod
    def is_readable(data: bytes) -> bool:
        """Return whether *data* can certainly be parsed: False may also mean that it can only be read in full.

        A table of its names is made in a quarter less time than its tree.
        """
        from symtable import symtable

        try:
            symtable(data, "<file>", "exec")  # type: ignore[arg-type]  # bytes are decoded as in a file
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
        return len(data) <= LARGEST_BYTES

    @cached_property
    def is_newer(self) -> bool:
        """Whether the running interpreter does not know all of its syntax, so that the tree is an older spelling."""
        return is_newer(self.data)

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* may import or quote one of the roots, or put its name together."""
        return names.sieve.imports_or_quotes(data) or names.sieve.spells_in_parts(data)

    def imports(self, offsets: Sequence[int]) -> Sequence[ImportStatement]:
        """Return the import statements on the lines of *offsets*, which are sorted."""
        lines = [self.line_of(offset) for offset in offsets]
        found = {
            id(node): self._import(node)
            for node in walk_statements(self.tree, lines)
            if isinstance(node, _IMPORTS)
        }
        if len(found) < 2:
            return tuple(found.values())
        from capa_codemods.read.import_runs import import_runs

        runs = import_runs(_blocks(self.tree, lines), found)
        return tuple(one._replace(run=found[runs[node]].start) for node, one in found.items())

    def strings(self, offsets: Sequence[int], takes: Takes | None = None) -> Sequence[StringUse]:
        """Return the string literals on the lines of *offsets*, with their uses; of f-strings the beginning.

        Args:
            offsets: Places in the bytes, sorted.
            takes: Calls that take the name of a module. A literal that reaches such a call through names has the use of
                its argument.
        """
        lines = [self.line_of(offset) for offset in offsets]
        may_be_lazy = _is_lazy(self.data)
        tables = lazy_tables(self.tree) if may_be_lazy else frozenset()
        keys = lazy_keys(self.tree) if may_be_lazy else frozenset()
        found = [
            (node, use._replace(place="table") if id(node) in keys else use)
            for node, use in string_uses(self.tree, lines, tables)
        ]
        if takes is not None and any(may_be_followed(self.data, start) for start in offsets):
            from capa_codemods.read.string_flow import uses_after_flow

            at_offsets = [one for one in found if self._holds(one[0], offsets)]
            only_held = not (passes_on(self.data) or is_test(self.path, self.data))
            followed = uses_after_flow(self.tree, at_offsets, takes, only_held=only_held)
            changed = {id(node): use for node, use in followed}
            found = [(node, changed.get(id(node), use)) for node, use in found]
        return tuple(self._string(node, use) for node, use in found)

    def _holds(self, node: ast.Constant, offsets: Sequence[int]) -> bool:
        """Return whether the string literal *node*, of an f-string the whole perhaps, holds one of *offsets*."""
        start = self.places.offset(node.lineno, node.col_offset)
        end = self.places.offset(node.end_lineno or 0, node.end_col_offset or 0)
        return bisect_left(offsets, start) < bisect_left(offsets, end)

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
        text = self.data[slice(*place)].replace(b"\r\n", b"\n")
        return place if text == str(node.value).encode(errors="replace") else None

    def _parsed(self, start: int, end: int) -> list[ast.stmt]:
        """Return the statements between *start*, where a line begins, and *end*."""
        before = b"\n" * (self.line_of(start) - 1)
        if not self.data.startswith(b" ", start):
            return parse(before + self.data[start:end]).body
        block, *others = parse(before[:-1] + _BLOCK + self.data[start:end]).body
        assert isinstance(block, ast.ClassDef)  # noqa: S101 - it is `_BLOCK`
        return [*block.body, *others]

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
        start, end = place or (-1, -1)
        return use._replace(value=str(node.value), start=start, line=node.lineno, end=end)


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
        for inner in blocks_in(node):
            queue.extend(inner if lines is None else [one for one in inner if reaches(one, lines)])


def _blocks(tree: ast.Module, lines: Sequence[int]) -> Iterator[list[ast.AST]]:
    """Yield the blocks of statements that reach one of *lines*, which are sorted."""
    return (block for node in walk_statements(tree, lines) for block in blocks_in(node))
