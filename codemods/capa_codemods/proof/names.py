"""Prove a rewritten Python file: the new tree with its names mapped back is the old tree.

The tree of a top-level statement does not depend on the statements around it, so only those on the lines of an edit are
parsed again, by themselves: one that ends too early or too late is no Python by itself. Inside them, statements that no
edit touches must be at the same, shifted place; all others are compared node by node. An import may differ where old
module → new module is in the import maps and it binds the same name; a string may differ where it begins with such a
pair.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit
from capa_codemods.read.document import starts_of_lines
from capa_codemods.read.syntax import Places, parse
from capa_codemods.sdks.names import Names
from capa_codemods.write.splice import Shift

if TYPE_CHECKING:
    from capa_codemods.read.facts import ImportStatement, StringUse
    from capa_codemods.read.python_file import PythonFile


class _Bound(NamedTuple):
    """One name that an import binds: `import module as bound`, or `from module import name as bound`.

    Attributes:
        opens: `import a.b`, which binds `a` rather than the module it names.
    """

    module: str
    name: str | None
    bound: str
    level: int = 0
    opens: bool = False


def flaw_of_names(file: PythonFile, new: bytes, edits: Sequence[Edit], names: Names) -> str | None:
    """Return the flaw of *new* as *file* with its names moved by *edits*, or None if it is proven.

    That the bytes outside the edits are the same is for the caller to see to.
    """
    tree = file.tree
    if tree is None:
        return _flaw_of_newer(file, new, names)
    shift = Shift(edits)
    regions = _regions(tree, file) if file.places.encoding is None else []
    touched = [region for region in regions if shift.touches(region.start, region.end - 1)]
    if not all(any(one.start <= edit.start and edit.end <= one.end for one in touched) for edit in edits):
        touched = [_Region(0, len(file.data), tree.body)]  # an edit between statements: all of the file, then
    for region in touched:
        if found := _flaw_of_region(region, file, new, shift, names):
            return found
    return None


class _Region(NamedTuple):
    """Top-level statements that share lines, and where those lines are."""

    start: int
    end: int
    body: list[ast.stmt]


def _regions(tree: ast.Module, file: PythonFile) -> list[_Region]:
    found: list[_Region] = []
    for node in tree.body:
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda one: one.lineno)
        start, end = file.line_starts[first.lineno - 1], _end_of_line(node.end_lineno or 1, file)
        if found and start < found[-1].end:
            found[-1] = _Region(found[-1].start, end, [*found[-1].body, node])
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


def _flaw_of_newer(file: PythonFile, new: bytes, names: Names) -> str | None:
    """Prove a *file* that is newer than this interpreter, which LibCST has read."""
    from capa_codemods.read.newer_syntax import read_newer, same_but_for

    found = read_newer(new)
    if found is None:
        return "the result is no longer Python"
    everywhere = Shift([Edit(0, len(file.data), b"", "")])
    compare = _Comparison(names, everywhere, file.places, file.places)
    before, after = (
        _as_tree(imports, strings) for imports, strings in ((file.imports(()), file.strings(())), found)
    )
    if difference := compare.flaw(before.body, after.body):
        return difference
    return None if same_but_for(file.data, new) else "the syntax tree differs"


def _as_tree(imports: Sequence[ImportStatement], strings: Sequence[StringUse]) -> ast.Module:
    """Return a module of nothing but these import statements and strings."""
    body: list[ast.stmt] = []
    place = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    for statement in imports:
        aliases = [ast.alias(name.name, name.asname) for name in statement.names]
        node = (
            ast.ImportFrom(statement.module, aliases, statement.level)
            if statement.is_from
            else ast.Import(aliases)
        )
        body.append(ast.copy_location(node, ast.Pass(**place)))
    return ast.Module([*body, *(ast.Expr(ast.Constant(use.value), **place) for use in strings)], [])


class _Comparison:
    def __init__(
        self, names: Names, shift: Shift, old_places: Places, new_places: Places, new_start: int = 0
    ) -> None:
        self._pairs = names.modules.items()
        self._names = names
        self._shift = shift
        self._old_places = old_places
        self._new_places = new_places
        self._new_start = new_start

    def flaw(self, old: list[ast.stmt], new: list[ast.stmt]) -> str | None:
        queue: list[tuple[object, object]] = [(old, new)]
        while queue:
            one, other = queue.pop()
            if isinstance(one, list) and isinstance(other, list) and _is_block(one):
                found = self._pair_up(one, other)
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

    def _pair_up(self, old: list[ast.stmt], new: list[ast.stmt]) -> list[tuple[object, object]] | None:
        """Pair two blocks statement by statement; an import counts as many as it binds."""
        olds, news = list(_unfold(old)), list(_unfold(new))
        pairs: list[tuple[object, object]] = []
        at = 0
        for one in olds:
            width = self._width(one, news[at : at + 2]) if isinstance(one, _Bound) else 1
            if not width or at >= len(news):
                return None
            if not isinstance(one, _Bound):
                pairs.append((one, news[at]))
            at += width
        return pairs if at == len(news) else None

    def _width(self, old: _Bound, new: list[ast.stmt | _Bound]) -> int:
        """Return the number of statements of *new* that together equal *old*; 0 if they do not."""
        if not new or not isinstance(new[0], _Bound):
            return 0
        first = new[0]
        if first == old or self._renamed(old, first):
            return 1
        second = new[1] if len(new) > 1 else None
        return 2 if isinstance(second, _Bound) and self._opened(old, first, second) else 0

    def _renamed(self, old: _Bound, new: _Bound) -> bool:
        if old.level or new.level or old.bound != new.bound:
            return False
        if old.name is None:
            return (
                new.name is None
                and not old.opens
                and not new.opens
                and (old.module, new.module) in self._pairs
            )
        if new.name is None:
            return False
        if old.name == new.name and (old.module, new.module) in self._pairs:
            return True
        before, after = f"{old.module}.{old.name}", f"{new.module}.{new.name}"
        line = self._names.line(before)
        return (before, after) in self._pairs or (line is not None and line.to == after)

    def _opened(self, old: _Bound, first: _Bound, second: _Bound) -> bool:
        """`import a.b` has become `import x.b, x as a`."""
        root = old.module.partition(".")[0]
        return (
            old.opens
            and first.opens
            and second.name is None
            and not second.opens
            and old.bound == root == second.bound
            and (old.module, first.module) in self._pairs
            and (root, second.module) in self._pairs
            and first.module == second.module + old.module.removeprefix(root)
        )

    def _same_constant(self, old: ast.Constant, new: ast.Constant) -> bool:
        if type(old.value) is not type(new.value) or old.kind != new.kind:
            return False
        if repr(old.value) == repr(new.value):
            return True
        if not isinstance(old.value, str) or not isinstance(new.value, str):
            return False
        return any(_rest(old.value, one) == _rest(new.value, other) != "?" for one, other in self._pairs)

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


def _is_block(items: list[object]) -> bool:
    return any(isinstance(item, ast.stmt) for item in items)


def _unfold(block: list[ast.stmt]) -> Iterator[ast.stmt | _Bound]:
    for node in block:
        if isinstance(node, ast.Import):
            for alias in node.names:
                opens = alias.asname is None and "." in alias.name
                yield _Bound(alias.name, None, alias.asname or alias.name.partition(".")[0], 0, opens)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield _Bound(node.module or "", alias.name, alias.asname or alias.name, node.level)
        else:
            yield node


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
