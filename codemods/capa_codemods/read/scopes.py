"""Scopes of one file: the parent of each node, and the reads of each name that the file binds."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence

from capa_codemods.read.children import children

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CALLED = (*_FUNCTIONS, ast.Lambda)
_BINDING: dict[type[ast.AST], str] = {
    ast.Name: "id",
    ast.arg: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}
"""Nodes that bind a name, and the field that holds it."""
_NOTED = frozenset({*_BINDING, ast.Attribute, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom})
_SCOPES = (ast.Module, ast.ClassDef, *_CALLED)


class Scopes:
    """The names and attributes of one file by the scope that binds them.

    Attributes:
        functions: All functions, in no order.
    """

    def __init__(self, tree: ast.Module) -> None:
        """Index *tree*; a comprehension counts to the scope around it."""
        self._parents: dict[int, ast.AST] = {}
        self._bound: defaultdict[tuple[int, str], list[ast.AST]] = defaultdict(list)
        self._reads: defaultdict[str, list[ast.Name]] = defaultdict(list)
        self._attributes: defaultdict[str, list[ast.Attribute]] = defaultdict(list)
        self._elsewhere: set[str] = set()
        self.functions: list[Function] = []
        noted: list[ast.AST] = []
        nodes: list[ast.AST] = [tree]
        for node in nodes:  # it grows
            if type(node) in _NOTED:
                noted.append(node)
            inner = children(node)
            nodes += inner
            self._parents.update(dict.fromkeys(map(id, inner), node))
        for node in noted:
            self._note(node)

    def parent(self, node: ast.AST) -> ast.AST:
        """Return the node that holds *node*, which is not the tree itself."""
        return self._parents[id(node)]

    def scope_of(self, node: ast.AST) -> Scope:
        """Return the scope whose code *node* belongs to; decorators, defaults and annotations are in the one around."""
        at, above = node, self.parent(node)
        while not isinstance(above, _SCOPES) or _is_around(at, above, is_argument=isinstance(node, ast.arg)):
            at, above = above, self.parent(above)
        return above

    def class_of(self, function: ast.AST) -> ast.ClassDef | None:
        """Return the class that *function* is a method of; None if it is none."""
        above = self._parents.get(id(function))
        return above if isinstance(above, ast.ClassDef) else None

    def binder(self, node: ast.AST, name: str) -> Scope | None:
        """Return the scope that binds *name* as read at *node*; None if the file does not, or not for certain."""
        if name in self._elsewhere:
            return None
        scope = first = self.scope_of(node)
        while (id(scope), name) not in self._bound or (
            isinstance(scope, ast.ClassDef) and scope is not first
        ):
            if isinstance(scope, ast.Module):
                return None
            scope = self.scope_of(scope)
        return scope

    def reads(self, scope: Scope, name: str) -> list[ast.Name]:
        """Return the places that read *name* as *scope* binds it."""
        return [read for read in self._reads[name] if self.binder(read, name) is scope]

    def named(self, name: str) -> Sequence[ast.Name]:
        """Return the places that read *name*, whichever scope binds it."""
        return self._reads[name]

    def attributes(self, name: str) -> Sequence[ast.Attribute]:
        """Return the places that read an attribute *name* of whatever object."""
        return self._attributes[name]

    def definition(self, scope: Scope, name: str) -> Function | ast.ClassDef | None:
        """Return the function or class that is all that *scope* binds to *name*; None if there is more, or neither."""
        bound = self._bound.get((id(scope), name), [])
        one = bound[0] if len(bound) == 1 else None
        return one if isinstance(one, (*_FUNCTIONS, ast.ClassDef)) else None

    def value(self, read: ast.Name) -> ast.expr | None:
        """Return the expression that is all that the name *read* is bound to; None if there may be another."""
        scope = self.binder(read, read.id)
        bound = self._bound.get((id(scope), read.id), [])
        above = self.parent(bound[0]) if len(bound) == 1 and isinstance(bound[0], ast.Name) else None
        if isinstance(above, ast.Assign) and any(one is bound[0] for one in above.targets):
            return above.value
        return above.value if isinstance(above, ast.AnnAssign) else None

    def is_added_to(self, scope: Scope, name: str) -> bool:
        """Return whether `name += …`, or the like, changes what *scope* binds to *name*."""
        return any(isinstance(self.parent(one), ast.AugAssign) for one in self._bound[id(scope), name])

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, _FUNCTIONS):
            self.functions.append(node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._reads[node.id].append(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self._attributes[node.attr].append(node)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            self._elsewhere.update(node.names)
        for name in _names(node):
            self._bound[id(self.scope_of(node)), name].append(node)


def _is_around(node: ast.AST, scope: Scope, *, is_argument: bool) -> bool:
    """Return whether *node*, a child of *scope*, belongs to the scope around it, as decorators and defaults do."""
    if node is getattr(scope, "args", None):
        return not is_argument
    around = [getattr(scope, "returns", None)]
    for field in ("decorator_list", "bases", "keywords"):
        around += getattr(scope, field, ())
    return any(node is one for one in around)


def _names(node: ast.AST) -> list[str]:
    """Return the names that *node* binds in its scope."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return []
    name = getattr(node, _BINDING.get(type(node), ""), None)
    return [name] if isinstance(name, str) else []
