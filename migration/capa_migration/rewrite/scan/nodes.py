"""Nodes of a syntax tree, one scope at a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_BLOCKS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.If: ("body", "orelse"),
    ast.For: ("body", "orelse"),
    ast.AsyncFor: ("body", "orelse"),
    ast.While: ("body", "orelse"),
    ast.With: ("body",),
    ast.AsyncWith: ("body",),
    ast.Try: ("body", "handlers", "orelse", "finalbody"),
    ast.TryStar: ("body", "handlers", "orelse", "finalbody"),
    ast.ExceptHandler: ("body",),
    ast.Match: ("cases",),
    ast.match_case: ("body",),
}
"""The blocks of a statement, in the order of the text; of scopes none."""
_NO_NODES = frozenset(
    {"ctx", "op", "ops", "id", "attr", "name", "asname", "arg", "module", "level", "type_comment"}
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


def statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements of *body* and of its blocks in the order of the text, but for scopes inside it."""
    queue: list[ast.AST] = list(reversed(body))
    while queue:
        node = queue.pop()
        yield node
        if blocks := _BLOCKS.get(type(node)):
            queue.extend(reversed([inner for block in blocks for inner in getattr(node, block)]))


def own_nodes(owner: ast.AST, inner: list[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of *owner*'s own scope in the order of the text; scopes inside it go to *inner*."""
    # Decorators, defaults and annotations belong to the scope around.
    queue: list[ast.AST] = list(reversed(_body(owner)))
    while queue:
        node = queue.pop()
        yield node
        children = _children(node)
        if isinstance(node, SCOPES):
            inner.append(node)
            body = set(map(id, _body(node)))
            children = [child for child in children if id(child) not in body]
        queue.extend(reversed(children))


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the child nodes of *node* without constants, operators and contexts, which are most of them."""
    found: list[ast.AST] = []
    for field in _fields(type(node)):
        value = getattr(node, field, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST) and type(item) is not ast.Constant]
        elif isinstance(value, ast.AST) and type(value) is not ast.Constant:
            found.append(value)
    return found


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(field for field in kind._fields if field not in _NO_NODES)
    return _FIELDS[kind]


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
