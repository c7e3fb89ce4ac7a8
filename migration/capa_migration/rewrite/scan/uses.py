"""Uses of SDKs in one file: imports, calls, and names that are read."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from capa_codemods.api import walk_statements
from capa_migration.rewrite.scan.nodes import is_self
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.scope import Scope
from capa_migration.rewrite.scan.sites import Kind


class Use(NamedTuple):
    """One use: the origin of what is used, and for a call its arguments as in `Site`."""

    kind: Kind
    origin: str
    arguments: tuple[str, ...]
    line: int


def uses(nodes: Iterable[ast.AST], scope: Scope, origins: Origins, counted: set[int]) -> Iterator[Use]:
    """Yield the imports, calls and uses at *nodes*; *counted* are the nodes inside a longer name that was yielded."""
    for node in nodes:
        if isinstance(node, ast.Call):
            if origin := origins.of(node.func, scope):
                counted.update(_chain(node.func))
                yield Use("call", origin, _arguments(node), node.lineno)
        elif isinstance(node, (ast.Attribute, ast.Name)):
            origin = origins.of(node, scope) if id(node) not in counted and _is_use(node) else None
            # A bare module or object is not a shape; its uses are counted where they are.
            if origin and "." in origin and not origin.endswith(")"):
                counted.update(_chain(node))
                yield Use("use", origin, (), node.lineno)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (Use("import", name, (), node.lineno) for name in origins.imported(node))


def _is_use(node: ast.Attribute | ast.Name) -> bool:
    """Return whether *node* is read, or is an attribute that is set on something else than `self`."""
    return isinstance(node.ctx, ast.Load) or (isinstance(node, ast.Attribute) and not is_self(node.value))


def _chain(node: ast.AST) -> Iterator[int]:
    yield id(node)
    while isinstance(node, ast.Attribute):
        node = node.value
        yield id(node)


def imported_modules(tree: ast.Module) -> set[str]:
    """Return the modules that *tree* imports, or imports from."""
    found = set()
    for node in walk_statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def _arguments(node: ast.Call) -> tuple[str, ...]:
    return (*("*" for _ in node.args), *(keyword.arg or "**" for keyword in node.keywords))
