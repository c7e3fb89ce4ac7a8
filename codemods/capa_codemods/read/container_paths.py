"""Places in containers: the steps from a list, tuple or dictionary to something in it."""

from __future__ import annotations

import ast
from typing import NamedTuple


class Item(NamedTuple):
    """One item of a sequence; of any if *number* is None."""

    number: int | str | None = None


class Parameter(NamedTuple):
    """One argument of `pytest.param`, which stands for a row of values."""

    number: int | str | None = None


class Key(NamedTuple):
    """A key of a dictionary."""


class Value(NamedTuple):
    """The value of a dictionary at *key*; at any if that is None, as for a key that is not written out."""

    key: object = None


class Returned(NamedTuple):
    """The result of a call of a function."""

    by: str = "call"


Step = Item | Parameter | Key | Value | Returned
Path = tuple[Step, ...]
"""The way to something in nested containers, outermost step first; empty for the thing itself."""


def entry(table: ast.Dict, node: ast.AST) -> Step:
    """Return the step from *table* to *node*, one of its keys or values."""
    for key, value in zip(table.keys, table.values, strict=True):
        if value is node:
            return Value(getattr(key, "value", None))
    return Key()


def iterated(path: Path) -> list[Path] | None:
    """Return the paths in each item of the container; none if no item holds the thing; None if it is no container."""
    if not path or isinstance(path[0], Returned):
        return None
    return [] if isinstance(path[0], Value) else [path[1:]]


def subscripted(path: Path, index: ast.expr) -> list[Path] | None:
    """Return the paths in `container[index]`, as `iterated` does; a key is what such an index may spell."""
    if not path or isinstance(path[0], (Returned, Key)):
        return None
    if isinstance(index, ast.Slice):
        return [(Item(), *path[1:])]
    step, wanted = path[0], index.value if isinstance(index, ast.Constant) else None
    held = step.key if isinstance(step, Value) else step.number if isinstance(step, Item) else None
    is_other = None not in (held, wanted) and held != wanted
    return [] if is_other else [path[1:]]


def viewed(path: Path, method: str) -> list[Path] | None:
    """Return the paths in the result of a *method* of a dictionary, as `iterated` does."""
    if not path or not isinstance(path[0], (Key, Value)):
        return None
    is_key, rest = isinstance(path[0], Key), path[1:]
    if method == "items":
        return [(Item(), Item(0 if is_key else 1), *rest)]
    if method in {"keys", "values"}:
        return [(Item(), *rest)] if is_key is (method == "keys") else []
    if method == "get":
        return None if is_key else [rest]
    return [path] if method == "copy" else None


def unpacked(path: Path, targets: list[ast.expr]) -> list[tuple[ast.expr, Path]] | None:
    """Return the *targets* that get the thing when the container is unpacked; None if that is not certain."""
    if not path or not isinstance(path[0], Item) or any(isinstance(one, ast.Starred) for one in targets):
        return None
    index = path[0].number
    chosen = targets[index : index + 1] if isinstance(index, int) else targets
    return [(target, path[1:]) for target in chosen]
