"""Imports that follow one another in a block: what one of them binds, the next may count on."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable, Iterator, Sequence

_IMPORTS = (ast.Import, ast.ImportFrom)


def import_runs(blocks: Iterable[Sequence[ast.AST]], wanted: Container[int]) -> dict[int, int]:
    """Return for the `id` of each *wanted* import in *blocks* of statements that of the first wanted one of its run.

    Any other statement ends a run. So does an import that is lazy, or `*`, or binds a name of a wanted one otherwise.
    """
    found: dict[int, int] = {}
    for block in blocks:
        found.update(_runs_in(block, wanted))
    return found


def _runs_in(block: Sequence[ast.AST], wanted: Container[int]) -> Iterator[tuple[int, int]]:
    first: ast.AST | None = None
    bound: set[str] = set()
    for node in block:
        names = _bound(node) if isinstance(node, _IMPORTS) else None
        if names is not None and id(node) in wanted:
            is_lazy = getattr(node, "is_lazy", False)  # what it binds is imported later
            first = node if first is None or is_lazy else first
            yield id(node), id(first)
            bound |= names
            if is_lazy or "*" in names:
                first, bound = None, set()
        elif names is None or "*" in names or bound & names:
            first, bound = None, set()


def _bound(node: ast.Import | ast.ImportFrom) -> set[str]:
    return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
