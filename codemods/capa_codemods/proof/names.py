"""Prove a rewritten Python file: the new tree with its names mapped back is the old tree.

The tree of a top-level statement does not depend on the statements around it, so only those on the lines of an edit are
parsed again, by themselves: one that ends too early or too late is no Python by itself. Inside them, statements that no
edit touches must be at the same, shifted place; all others are compared node by node. An import may differ where old
module → new module is in the import maps and it binds the same name; a string may differ where it begins with such a
pair.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit
from capa_codemods.proof.imports import Pairing
from capa_codemods.read.document import starts_of_lines
from capa_codemods.read.syntax import Places, parse
from capa_codemods.sdks.names import Names
from capa_codemods.write.splice import Shift

if TYPE_CHECKING:
    from capa_codemods.read.python_file import PythonFile


def flaw_of_names(file: PythonFile, new: bytes, edits: Sequence[Edit], names: Names) -> str | None:
    """Return the flaw of *new* as *file* with its names moved by *edits*, or None if it is proven.

    That the bytes outside the edits are the same is for the caller to see to.
    """
    shift = Shift(edits)
    regions = _regions(file) if file.places.encoding is None else []
    touched = [region for region in regions if shift.touches(region.start, region.end - 1)]
    if not _hold(touched, edits):  # an edit is between statements: all of the file, then
        touched = [_Region(0, len(file.data), file.tree.body)]
    for region in touched:
        if found := _flaw_of_region(region, file, new, shift, names):
            return found
    return None


class _Region(NamedTuple):
    """Top-level statements that share lines, or imports that follow one another, and where those lines are."""

    start: int
    end: int
    body: list[ast.stmt]


def _hold(regions: Sequence[_Region], edits: Sequence[Edit]) -> bool:
    """Return whether each of *edits* is in one of *regions*; both are ordered."""
    left = iter(regions)
    region = next(left, None)
    for edit in edits:
        while region is not None and region.end < edit.end:
            region = next(left, None)
        if region is None or edit.start < region.start:
            return False
    return True


def _regions(file: PythonFile) -> list[_Region]:
    found: list[_Region] = []
    for node in file.tree.body:
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda one: one.lineno)
        start, end = file.line_starts[first.lineno - 1], _end_of_line(node.end_lineno or 1, file)
        last = found[-1] if found else None
        if last and (start < last.end or (_is_import(node) and _is_import(last.body[-1]))):
            last.body.append(node)
            found[-1] = last._replace(end=end)
        else:
            found.append(_Region(start, end, [node]))
    return found


def _end_of_line(line: int, file: PythonFile) -> int:
    """Return where line number *line* ends, with those that continue it: blank, perhaps, behind a statement."""
    while line < len(file.line_starts) and file.line_text(line).endswith(b"\\"):
        line += 1
    return file.line_starts[line] if line < len(file.line_starts) else len(file.data)


def _flaw_of_region(region: _Region, file: PythonFile, new: bytes, shift: Shift, names: Names) -> str | None:
    start = shift.of(region.start)
    part = new[start : shift.of(region.end)]
    try:
        body = parse(part).body
    except UnreadableError as error:
        return f"the result is no longer Python: {error}"
    places = Places(part, starts_of_lines(part))
    return _Comparison(names, shift, file.places, places, start).flaw(region.body, body)


class _Comparison:
    def __init__(
        self, names: Names, shift: Shift, old_places: Places, new_places: Places, new_start: int = 0
    ) -> None:
        self._pairs = names.modules.items()
        self._names = names
        self._pairing = Pairing(names)
        self._shift = shift
        self._old_places = old_places
        self._new_places = new_places
        self._new_start = new_start

    def flaw(self, old: list[ast.stmt], new: list[ast.stmt]) -> str | None:
        queue: list[tuple[object, object]] = [(old, new)]
        while queue:
            one, other = queue.pop()
            found: Sequence[tuple[object, object]] | None
            if isinstance(one, list) and isinstance(other, list) and _is_block(one):
                found = self._pairing.of(one, other)
            else:
                found = self._children(one, other)
            if found is None:
                return _difference(one, other)
            queue.extend(found)
        return None

    def _children(self, old: object, new: object) -> list[tuple[object, object]] | None:
        """Return the parts that must be equal for *old* and *new* to be equal; None if they differ."""
        if type(old) is not type(new):
            return None
        if isinstance(old, list) and isinstance(new, list):
            return list(zip(old, new, strict=True)) if len(old) == len(new) else None
        if not isinstance(old, ast.AST):
            return [] if old == new and repr(old) == repr(new) else None
        if isinstance(old, ast.stmt) and self._is_untouched(old):
            return [] if self._stands(old, new) else None
        if isinstance(old, ast.Constant) and isinstance(new, ast.Constant):
            return [] if self._same_constant(old, new) else None
        return [(getattr(old, field, None), getattr(new, field, None)) for field in old._fields]

    def _same_constant(self, old: ast.Constant, new: ast.Constant) -> bool:
        if type(old.value) is not type(new.value) or old.kind != new.kind:
            return False
        if repr(old.value) == repr(new.value):
            return True
        if not isinstance(old.value, str) or not isinstance(new.value, str):
            return False
        if any(_rest(old.value, one) == _rest(new.value, other) != "?" for one, other in self._pairs):
            return True
        return ">>>" in old.value and self._same_examples(old.value.encode(), new.value.encode())

    def _same_examples(self, old: bytes, new: bytes) -> bool:
        """Return whether two docstrings differ in nothing but the names in their examples."""
        from capa_codemods.read.examples import parsed_examples, prose_of

        if prose_of(old) != prose_of(new):
            return False
        everywhere = Shift([Edit(0, len(old) + len(new), b"", "")])
        compare = _Comparison(self._names, everywhere, self._old_places, self._old_places)
        try:
            return compare.flaw(parsed_examples(old).body, parsed_examples(new).body) is None
        except UnreadableError:
            return False

    def _is_untouched(self, old: ast.stmt) -> bool:
        return not self._shift.touches(*_extent(old, self._old_places))

    def _stands(self, old: ast.stmt, new: object) -> bool:
        if not isinstance(new, ast.stmt):
            return False
        moved = tuple(self._shift.of(offset) - self._new_start for offset in _extent(old, self._old_places))
        return moved == _extent(new, self._new_places)


def _extent(node: ast.stmt, places: Places) -> tuple[int, int]:
    # A decorated definition begins, for the parser, at its `def`.
    first = min([node, *getattr(node, "decorator_list", [])], key=lambda one: (one.lineno, one.col_offset))
    start = places.offset(first.lineno, first.col_offset)
    return start, places.offset(node.end_lineno or 0, node.end_col_offset or 0)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _is_block(items: list[object]) -> bool:
    return any(isinstance(item, ast.stmt) for item in items)


def _rest(value: str, module: str) -> str:
    """Return the text after *module* in *value*; `?` if *value* does not begin with it as a whole name."""
    rest = value.removeprefix(module)
    return rest if value.startswith(module) and rest[:1] in {"", ".", ":"} else "?"


def _difference(old: object, new: object) -> str:
    # The lines of the new tree are counted from where its statement begins.
    nodes = old if isinstance(old, list) else [old]
    line = next((found for node in nodes if (found := getattr(node, "lineno", None))), None)
    place = f" at line {line}" if line else ""
    return f"the syntax tree differs{place}: {_sketch(old)} became {_sketch(new)}"


def _sketch(node: object) -> str:
    if isinstance(node, list):
        return f"[{', '.join(map(_sketch, node[:3]))}]"
    if isinstance(node, ast.AST):
        try:
            return repr(ast.unparse(node)[:60])
        except (ValueError, RecursionError, AttributeError):
            return type(node).__name__
    return repr(node)[:60]
