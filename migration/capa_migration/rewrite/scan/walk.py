"""Scopes of one file: each node is visited after all names of its scope are bound."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from capa_migration.rewrite.scan.bindings import Bindings
from capa_migration.rewrite.scan.nodes import own_nodes, statements
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.scope import Scope

_BINDING = (ast.stmt, ast.NamedExpr)
_VISITED = frozenset({ast.Import, ast.ImportFrom, ast.Call, ast.Attribute, ast.Name})


def module_scope(tree: ast.Module, origins: Origins) -> Scope:
    """Return the scope of the module itself, with all its names known."""
    scope, bindings = Scope(), Bindings(origins)
    for node in statements(tree.body):
        bindings.bind(node, scope)
    return scope


def scopes(tree: ast.Module, origins: Origins) -> Iterator[tuple[Scope, ast.AST]]:
    """Yield each import, call, attribute and name of *tree* with its scope, after all names of that scope are known.

    Methods are entered after the whole class, so that `self.x` is known wherever `__init__` stands.
    """
    bindings = Bindings(origins)
    queue: list[tuple[Scope, ast.AST]] = [(Scope(), tree)]
    while queue:
        scope, owner = queue.pop()
        inner: list[ast.AST] = []
        nodes = list(own_nodes(owner, inner))
        for node in nodes:
            if isinstance(node, _BINDING):
                bindings.bind(node, scope)
        yield from ((scope, node) for node in nodes if type(node) in _VISITED)
        queue.extend((_open(node, scope, bindings), node) for node in reversed(inner))


def _open(node: ast.AST, scope: Scope, bindings: Bindings) -> Scope:
    if isinstance(node, ast.ClassDef):
        # Bound again: all names of the scope around it are known now.
        return bindings.class_scope(node, scope)
    opened = Scope(scope)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        bindings.bind_arguments(node, opened)
    return opened
