"""Prove a change of shape: nothing but the smallest expressions and statements that the edits touch has changed.

The bytes outside the edits are compared, the result is parsed, and the two trees are walked side by side. A node may
differ only if it is the smallest that holds an edit; a statement may come or go only where an edit is between
statements. Every other node must be the same tree, at the place to which the edits have shifted it.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.file_rewrite import FileRewrite
from capa_codemods.findings import Edit
from capa_codemods.proof import OTHER_BYTES
from capa_codemods.read.document import starts_of_lines
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.syntax import Places, parse
from capa_codemods.write.splice import Shift


def flaw_of_shape(rewrite: FileRewrite) -> str | None:
    """Return the flaw of *rewrite* as one that changes the shape of a Python file, or None if it is proven."""
    if rewrite.flaw is not None:
        return rewrite.flaw
    if not rewrite.keeps_other_bytes:
        return OTHER_BYTES
    if not isinstance(rewrite.file, PythonFile) or rewrite.file.is_newer:
        return "the file is newer than the Python that runs Capa"
    return _flaw_of_trees(rewrite.file, rewrite.file.tree, rewrite.after, rewrite.edits)


def _flaw_of_trees(file: PythonFile, before: ast.Module, new: bytes, edits: Sequence[Edit]) -> str | None:
    try:
        tree = parse(new)
        places = Places(new, starts_of_lines(new))
    except UnreadableError as error:
        return f"the result is no longer Python: {error}"
    if (refused := _refused(tree)) and not _refused(before):
        return f"Python refuses the result: {refused}"
    compare = _Comparison(edits, file.places, places, file.data)
    try:
        return None if compare.block(before.body, tree.body) else compare.difference
    except RecursionError:
        return "its expressions are nested too deeply to be compared"


def _refused(tree: ast.Module) -> str | None:
    """Return the compiler's error for *tree*, which the parser has accepted. Nothing is run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(tree, "<file>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError) as error:
            return str(error)
    return None


class _Extent(NamedTuple):
    start: int
    end: int


class _Comparison:
    """Two trees side by side; `difference` names the first place where they must not differ and do."""

    def __init__(self, edits: Sequence[Edit], old: Places, new: Places, data: bytes) -> None:
        self._edits = edits
        self._shift = Shift(edits)
        self._old, self._new = old, new
        self._data = data
        self.difference = "the syntax tree differs"

    def block(self, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> bool:
        """Return whether the statements *new* are *old*, but for those that an edit has made, replaced or removed."""
        left = list(new)
        for node in old:
            found = next((at for at, one in enumerate(left) if self._begins(node, one)), None)
            if found is not None and self._same(node, left[found]):
                del left[: found + 1]
            elif not self._is_free(node):
                self._note_difference(node)
                return False
        return True

    def _same(self, old: ast.AST, new: ast.AST) -> bool:
        """Return whether *new* is *old* but for the smallest nodes that hold an edit."""
        if self._stands(old, new):
            return True
        extent = self._extent(old)
        if extent and not self._shift.touches(*extent):
            return False
        if type(old) is type(new) and not isinstance(old, ast.JoinedStr) and self._same_fields(old, new):
            return True
        return isinstance(old, ast.expr) and isinstance(new, ast.expr) and self._is_free(old)

    def _same_fields(self, old: ast.AST, new: ast.AST) -> bool:
        for name in old._fields:
            one, other = getattr(old, name, None), getattr(new, name, None)
            if isinstance(one, list) and isinstance(other, list):
                if _is_block(one) or _is_block(other):
                    same = self.block(one, other)
                else:
                    same = len(one) == len(other) and all(map(self._same_value, one, other))
            else:
                same = self._same_value(one, other)
            if not same:
                return False
        return True

    def _same_value(self, old: object, new: object) -> bool:
        if isinstance(old, ast.AST) and isinstance(new, ast.AST):
            return self._same(old, new)
        return type(old) is type(new) and repr(old) == repr(new)

    def _stands(self, old: ast.AST, new: ast.AST) -> bool:
        """Return whether *new* is *old* as it was, where the edits have shifted it."""
        extent = self._extent(old)
        if extent is None:
            return False
        moved = _Extent(self._shift.of(extent.start), self._shift.of_end(extent.end))
        return moved == _extent(new, self._new) and ast.dump(old) == ast.dump(new)

    def _begins(self, old: ast.stmt, new: ast.stmt) -> bool:
        one, other = self._extent(old), _extent(new, self._new)
        return one is not None and other is not None and self._shift.of(one.start) == other.start

    def _is_free(self, node: ast.AST) -> bool:
        """Return whether *node* is the smallest that holds an edit, or holds a part of one."""
        extent = self._extent(node)
        if extent is None:
            return False
        touching = [edit for edit in self._edits if edit.start <= extent.end and extent.start <= edit.end]
        if isinstance(node, ast.stmt):
            touching += [edit for edit in self._edits if self._indents_anew(edit, extent.start)]
        inside = [found for child in _inner(node) if (found := self._extent(child))]
        # An edit between the statements of a block touches the block, not the statement that owns the block.
        blocks = [self._extent_of(block) for block in _blocks(node)]
        return any(
            not any(_holds(one, edit) for one in inside)
            and not any(one.start <= edit.start and edit.end <= one.end for one in blocks)
            for edit in touching
        )

    def _extent_of(self, block: Sequence[ast.stmt]) -> _Extent:
        first, last = self._extent(block[0]), self._extent(block[-1])
        assert first is not None  # noqa: S101 - a statement has a place
        assert last is not None  # noqa: S101 - a statement has a place
        return _Extent(self._indent(first.start), last.end)

    def _indents_anew(self, edit: Edit, start: int) -> bool:
        """Return whether *edit* changes the text before *start* in its line: that statement may change its block."""
        begin = self._indent(start)
        before = edit.new or self._data[: edit.start]
        return begin < edit.end < start or (begin == edit.end and not before.endswith((b"\n", b"\r")))

    def _indent(self, start: int) -> int:
        while start and self._data[start - 1 : start] in {b" ", b"\t"}:
            start -= 1
        return start

    def _extent(self, node: ast.AST) -> _Extent | None:
        return _extent(node, self._old)

    def _note_difference(self, node: ast.AST) -> None:
        self.difference = f"the syntax tree differs outside the edits at line {getattr(node, 'lineno', 0)}"


def _extent(node: ast.AST, places: Places) -> _Extent | None:
    if not isinstance(node, (ast.expr, ast.stmt)):
        return None
    # A decorated definition begins, for the parser, at its `def`.
    decorators = getattr(node, "decorator_list", [])
    first: ast.expr | ast.stmt = decorators[0] if decorators else node
    start = places.offset(first.lineno, first.col_offset)
    return _Extent(start, places.offset(node.end_lineno or 0, node.end_col_offset or 0))


def _inner(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nearest statements and expressions below *node*; those in an f-string have no reliable places."""
    if isinstance(node, ast.JoinedStr):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.expr, ast.stmt)):
            yield child
        else:
            yield from _inner(child)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of statements right below *node*, those of its handlers and cases too."""
    for _, value in ast.iter_fields(node):
        if isinstance(value, list) and _is_block(value):
            yield value
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, (ast.ExceptHandler, ast.match_case)):
                    yield item.body


def _holds(extent: _Extent, edit: Edit) -> bool:
    if edit.start == edit.end:
        return extent.start < edit.start < extent.end
    return extent.start <= edit.start and edit.end <= extent.end


def _is_block(items: Sequence[object]) -> bool:
    return any(isinstance(item, ast.stmt) for item in items)
