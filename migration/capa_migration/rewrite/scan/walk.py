"""Scopes of one file: each node is visited after all names of its scope are bound."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from capa_migration.rewrite.scan.bindings import Bindings
from capa_migration.rewrite.scan.nodes import own_nodes, statements
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.scope import Scope

_VISITED = frozenset({ast.Import, ast.ImportFrom, ast.Call, ast.Attribute, ast.Name})


class Bound(NamedTuple):
    """A module, a class or a function, with all names of its scope known.

    Attributes:
        nodes: The imports, calls, attributes and names in it, in the order of the text.
        inner: The scopes inside it, opened, each with its node.
    """

    scope: Scope
    nodes: list[ast.AST]
    inner: list[tuple[Scope, ast.AST]]

    @property
    def names(self) -> dict[str, str]:
        """The names of the scope, each with its origin."""
        return self.scope.names


def module_scope(tree: ast.Module, origins: Origins) -> Scope:
    """Return the scope of the module itself, with all names known that others may import from it."""
    scope, bindings = Scope(), Bindings(origins)
    for node in statements(tree.body):
        bindings.bind(node, scope)
    return scope


def bound_module(tree: ast.Module, origins: Origins) -> Bound:
    """Return the module *tree*, with all its names known, those of assignment expressions too."""
    return _bound(tree, Scope(), Bindings(origins))


def scopes(module: Bound, origins: Origins) -> Iterator[Bound]:
    """Yield *module* and each scope inside it, after all names of that scope are known.

    Methods are entered after the whole class, so that `self.x` is known wherever `__init__` stands.
    """
    bindings = Bindings(origins)
    queue: list[tuple[Scope, ast.AST]] = []
    one = module
    while True:
        yield one
        queue.extend(reversed(one.inner))
        if not queue:
            return
        scope, owner = queue.pop()
        one = _bound(owner, scope, bindings)


def _bound(owner: ast.AST, scope: Scope, bindings: Bindings) -> Bound:
    inner: list[ast.AST] = []
    nodes = list(own_nodes(owner, inner))
    for node in nodes:
        bindings.bind(node, scope)
    opened = [(_open(node, scope, bindings), node) for node in reversed(inner)]
    return Bound(scope, [node for node in nodes if type(node) in _VISITED], opened[::-1])


def _open(node: ast.AST, scope: Scope, bindings: Bindings) -> Scope:
    if isinstance(node, ast.ClassDef):
        # Bound again: all names of the scope around it are known now.
        return bindings.class_scope(node, scope)
    opened = Scope(scope)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        bindings.bind_arguments(node, opened)
    return opened
