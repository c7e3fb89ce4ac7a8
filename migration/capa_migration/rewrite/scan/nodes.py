"""Nodes of a syntax tree, one scope at a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from capa_codemods.api import blocks_in, children

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements of *body* and of its blocks in the order of the text, but for scopes inside it."""
    queue: list[ast.AST] = list(reversed(body))
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, SCOPES):
            queue.extend(reversed([inner for block in blocks_in(node) for inner in block]))


def own_nodes(owner: ast.AST, inner: list[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of *owner*'s own scope in the order of the text; scopes inside it go to *inner*."""
    # Decorators, defaults and annotations belong to the scope around.
    queue: list[ast.AST] = list(reversed(_body(owner)))
    while queue:
        node = queue.pop()
        if type(node) is ast.Constant:  # most of the nodes, and they hold nothing
            continue
        yield node
        below = children(node)
        if isinstance(node, SCOPES):
            inner.append(node)
            body = set(map(id, _body(node)))
            below = [child for child in below if id(child) not in body]
        queue.extend(reversed(below))


def _body(owner: ast.AST) -> list[ast.AST]:
    body = owner.body if isinstance(owner, (ast.Module, *SCOPES)) else []
    return list(body) if isinstance(body, list) else [body]


def bound(node: ast.AST) -> list[str]:
    """Return the names that the statement *node* binds in its scope, as far as a class needs them."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return []


def is_self(node: ast.AST) -> bool:
    """Return whether *node* is `self` or `cls`."""
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def last_name(node: ast.AST) -> str:
    """Return the last of the names in *node*, such as that of a decorator with or without arguments."""
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "attr", getattr(node, "id", ""))
