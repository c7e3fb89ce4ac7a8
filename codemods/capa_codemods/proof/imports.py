"""Compare the imports of two blocks: name by name, each binds what the other binds, under its old or its new name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from capa_codemods.sdks.names import Names


class Bound(NamedTuple):
    """One name that an import binds: `import module as bound`, or `from module import name as bound`.

    Attributes:
        module: The module that the statement names.
        opens: `import a.b`, which binds `a` rather than the module it names.
        is_lazy: `lazy import`.
    """

    module: str
    name: str | None
    bound: str
    level: int = 0
    opens: bool = False
    is_lazy: bool = False


def unfold(block: Sequence[ast.stmt]) -> Iterator[ast.stmt | Bound]:
    """Yield the statements of *block*; in place of an import, the names that it binds."""
    for node in block:
        is_lazy = bool(getattr(node, "is_lazy", False))
        if isinstance(node, ast.Import):
            for alias in node.names:
                opens = alias.asname is None and "." in alias.name
                bound = alias.asname or alias.name.partition(".")[0]
                yield Bound(alias.name, None, bound, 0, opens, is_lazy)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Bound(
                    node.module or "", alias.name, alias.asname or alias.name, node.level, False, is_lazy
                )
        else:
            yield node


class Pairing:
    """Pairs the statements of two blocks, in which an import counts as many as it binds."""

    def __init__(self, names: Names) -> None:
        """Take the new modules of *names* for the old ones."""
        self._names = names
        self._pairs = names.modules.items()

    def of(self, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> list[tuple[ast.stmt, ast.stmt]] | None:
        """Return the pairs of other statements that must be equal for the blocks to be; None if imports differ."""
        news = list(unfold(new))
        pairs: list[tuple[ast.stmt, ast.stmt]] = []
        held: dict[str, Bound] = {}
        at = 0
        for one in unfold(old):
            if at >= len(news):
                return None
            other = news[at]
            if isinstance(one, Bound):
                width = self._width(one, news[at : at + 2], held)
            else:
                width = 0 if isinstance(other, Bound) else 1
                pairs += [] if isinstance(other, Bound) else [(one, other)]
                held.clear()
            if not width:
                return None
            at += width
            _hold(held, news[at - width : at], old=one)
        return pairs if at == len(news) else None

    def _width(self, old: Bound, new: Sequence[ast.stmt | Bound], held: dict[str, Bound]) -> int:
        """Return the number of statements of *new* that together equal *old*; 0 if they do not."""
        first = new[0]
        if not isinstance(first, Bound):
            return 0
        if first == old or self._renamed(old, first):
            return 1
        if not self._opened(old, first):
            return 0
        second = new[1] if len(new) > 1 else None
        if isinstance(second, Bound) and self._keeps_root(old, first, second):
            return 2
        # An import before it, with nothing but imports between, may have bound the root already.
        before = held.get(old.bound)
        return 1 if before is not None and self._keeps_root(old, first, before) else 0

    def _renamed(self, old: Bound, new: Bound) -> bool:
        if old.level or new.level or (old.bound, old.is_lazy) != (new.bound, new.is_lazy):
            return False
        if old.name is None:
            is_plain = new.name is None and not old.opens and not new.opens
            return is_plain and (old.module, new.module) in self._pairs
        if new.name is None:
            return False
        if old.name == new.name and (old.module, new.module) in self._pairs:
            return True
        before, after = f"{old.module}.{old.name}", f"{new.module}.{new.name}"
        line = self._names.line(before)
        return (before, after) in self._pairs or (line is not None and line.to == after)

    def _opened(self, old: Bound, first: Bound) -> bool:
        """Return whether `import a.b` has become `import x.b`, perhaps with more."""
        return old.opens and first.opens and (old.module, first.module) in self._pairs

    def _keeps_root(self, old: Bound, first: Bound, root: Bound) -> bool:
        """Return whether *root*, `import x as a`, binds what `import a.b` has bound and `import x.b` does not."""
        return (
            root.name is None
            and not root.opens
            and old.is_lazy == first.is_lazy == root.is_lazy
            and old.bound == root.bound
            and (old.bound, root.module) in self._pairs
            and first.module == root.module + old.module.removeprefix(old.bound)
        )


def _hold(held: dict[str, Bound], new: Sequence[ast.stmt | Bound], *, old: ast.stmt | Bound) -> None:
    """Note the names that the imports *new*, in place of *old*, have bound in a run of imports."""
    for one in new:
        if not isinstance(one, Bound):
            continue
        if one.name == "*":
            held.clear()  # it may bind any name
        elif one.bound == getattr(old, "bound", None):
            held[one.bound] = one
        else:
            held.pop(one.bound, None)
