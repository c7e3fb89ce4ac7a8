"""A slice of a module: the statements that decide where a few names in it come from.

It is found by names alone, in whatever scope: a statement belongs to it if it binds a name, or an attribute of that
name, that a statement of the slice uses. So it may hold too much, and never too little.
"""

from __future__ import annotations

import ast
import copy
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from capa_codemods.api import blocks_in
from capa_migration.rewrite.scan.origins import followed_names

_OPENING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_HEADS = ("test", "iter", "subject", "type", "guard")


class _Statement:
    """A statement without its blocks, and the nodes that it takes its values from.

    It does not know the statements around it and inside it: in a cycle they would be kept until garbage is collected.
    """

    __slots__ = ("is_followed", "is_kept", "node", "sources")

    def __init__(self, node: Any, sources: Iterable[ast.AST | None] = ()) -> None:
        self.node = node
        self.sources = sources
        self.is_kept = self.is_followed = False


_Scope = _Statement | None
"""The statement that opens a scope; None for the module."""


class Slicer:
    """Finds the slice of one module."""

    def __init__(self, tree: ast.Module, lines: Sequence[int], names: Collection[str]) -> None:
        """Look for *names*, of attributes and of keyword arguments, on *lines*, which are sorted."""
        self._lines = lines
        self._names = names
        self._binders: defaultdict[str, list[_Statement]] = defaultdict(list)
        self._known: set[str] = set()
        self._pending: list[str] = []
        self._asked: list[tuple[_Statement, list[ast.AST]]] = []
        self._scopes: dict[_Statement, _Scope] = {}
        self._inside: defaultdict[_Scope, list[_Statement]] = defaultdict(list)
        self._note_block(tree.body, None)

    def sliced(self, *bound: str) -> ast.Module:
        """Return the slice, also for the names *bound*, with *tree* as it was; it is empty without any name."""
        for statement, chains in self._asked:
            self._keep(statement)
            self._know(chains)
        self._known.update(bound)
        self._pending += bound
        if self._asked or bound:
            self._pending.append("*")
        while self._pending:
            for statement in self._binders.get(self._pending.pop(), ()):
                self._follow(statement)
        return ast.Module(list(self._kept(None)), [])

    def _follow(self, statement: _Statement) -> None:
        if not statement.is_followed:
            statement.is_followed = True
            self._keep(statement)
            self._know(statement.sources)

    def _keep(self, statement: _Statement) -> None:
        if not statement.is_kept:
            statement.is_kept = True
            opening = self._scopes[statement]
            if opening is not None:
                # What `self` is depends on the bases of the class.
                (self._follow if isinstance(opening.node, ast.ClassDef) else self._keep)(opening)

    def _know(self, nodes: Iterable[ast.AST | None]) -> None:
        found = {name for node in nodes if node is not None for name in followed_names(node)} - self._known
        self._known |= found
        self._pending += found

    def _kept(self, scope: _Scope) -> Iterator[ast.stmt]:
        for one in self._inside[scope]:
            if one.is_kept and one.node is not None:
                node = one.node
                if isinstance(node, _OPENING):
                    node = copy.copy(node)
                    node.body = list(self._kept(one))
                elif isinstance(node, (ast.Import, ast.ImportFrom)):
                    node = copy.copy(node)
                    node.names = [alias for alias in node.names if _bound_by(alias) in self._known | {"*"}]
                yield node

    def _note_block(self, block: Iterable[ast.AST], scope: _Scope) -> None:
        for node in block:
            _NOTES.get(type(node), Slicer._note_simple)(self, node, scope)

    def _note(
        self,
        node: ast.AST | None,
        scope: _Scope,
        bound: Iterable[str] = (),
        sources: Iterable[ast.AST | None] = (),
    ) -> _Statement:
        statement = _Statement(node, sources)
        self._scopes[statement] = scope
        self._inside[scope].append(statement)
        for name in bound:
            self._binders[name].append(statement)
        return statement

    def _note_import(self, node: ast.Import | ast.ImportFrom, scope: _Scope) -> None:
        self._note(node, scope, map(_bound_by, node.names))

    def _note_assignment(self, node: ast.Assign, scope: _Scope) -> None:
        self._ask(self._note(node, scope, _targets(node.targets), [node.value]), [node])

    def _note_annotated(self, node: ast.AnnAssign, scope: _Scope) -> None:
        statement = self._note(node, scope, _targets([node.target]), [node.value, node.annotation])
        self._ask(statement, [node])

    def _note_with(self, node: ast.With | ast.AsyncWith, scope: _Scope) -> None:
        values = [item.context_expr for item in node.items]
        targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
        head = ast.copy_location(type(node)(node.items, []), node)
        self._ask(self._note(head, scope, _targets(targets), values), [*values, *targets])
        self._note_block(node.body, scope)

    def _note_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> None:
        head = self._note(node, scope, [node.name], [*node.decorator_list, node.returns])
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for one in arguments:
            if one.annotation is not None:
                self._note(None, head, [one.arg], [one.annotation])
        if arguments and node.decorator_list:
            self._note(None, head, [arguments[0].arg], _task_makers(node.decorator_list))
        self._ask(
            head, [*node.decorator_list, *ast.iter_child_nodes(node.args), *filter(None, [node.returns])]
        )
        self._note_block(node.body, head)

    def _note_class(self, node: ast.ClassDef, scope: _Scope) -> None:
        head = self._note(node, scope, [node.name], node.bases)
        self._ask(head, [*node.decorator_list, *node.bases, *node.keywords])
        self._note_block(node.body, head)

    def _note_block_head(self, node: ast.AST, scope: _Scope) -> None:
        """Note the head of a statement with blocks, or of a part of one, and what is in its blocks."""
        for head in filter(None, (getattr(node, name, None) for name in _HEADS)):
            if self._is_asked(head):
                self._ask(self._note(ast.copy_location(ast.Expr(head), head), scope), [head])
        for block in blocks_in(node):
            self._note_block(block, scope)

    def _note_simple(self, node: ast.AST, scope: _Scope) -> None:
        """Note a statement that binds nothing that is followed."""
        value = getattr(node, "value", None)
        if isinstance(node, ast.Return) or isinstance(value, ast.Yield):
            # What a function returns or yields decides where its name comes from.
            name = getattr(scope and scope.node, "name", "")
            self._ask(self._note(node, scope, [name], [value]), [node])
        elif self._is_asked(node):
            self._ask(self._note(node, scope), [node])

    def _ask(self, statement: _Statement, nodes: Iterable[ast.AST]) -> None:
        if not self._lines:
            return
        chains = [
            chain
            for node in nodes
            if self._is_asked(node)
            for chain in ast.walk(node)
            if self._is_named(chain)
        ]
        if chains:
            self._asked.append((statement, chains))

    def _is_asked(self, node: ast.AST) -> bool:
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        return bisect_left(self._lines, first) < bisect_right(self._lines, last)

    def _is_named(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in self._names
        if isinstance(node, ast.Name):
            return node.id in self._names
        return isinstance(node, ast.Call) and any(one.arg in self._names for one in node.keywords)


_NOTES: dict[type[ast.AST], Callable[[Slicer, Any, _Scope], None]] = {
    ast.Import: Slicer._note_import,
    ast.ImportFrom: Slicer._note_import,
    ast.Assign: Slicer._note_assignment,
    ast.AnnAssign: Slicer._note_annotated,
    ast.With: Slicer._note_with,
    ast.AsyncWith: Slicer._note_with,
    ast.FunctionDef: Slicer._note_function,
    ast.AsyncFunctionDef: Slicer._note_function,
    ast.ClassDef: Slicer._note_class,
    **dict.fromkeys(
        [ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.ExceptHandler, ast.Match],
        Slicer._note_block_head,
    ),
    ast.match_case: Slicer._note_block_head,
}


def _task_makers(decorators: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """Yield what decides the first argument of a function under *decorators*: `@app.task(bind=True, base=…)`."""
    for one in decorators:
        yield one
        yield from (keyword.value for keyword in getattr(one, "keywords", ()) if keyword.arg == "base")


def _bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _targets(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, (ast.Tuple, ast.List)):
            yield from _targets(node.elts)
