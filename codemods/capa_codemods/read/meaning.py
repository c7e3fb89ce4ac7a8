"""The meaning of a name in one file, where only one is possible.

    requests.get                       `import requests` and nothing else binds `requests` where it is read
    requests.Session()                 an object that this call has made; also through a name or `self.name`
    requests.Session().__enter__()     the value that `with … as name` binds

In doubt there is no meaning: a name that is bound to two things, declared `global` somewhere, or that `import *` may
have brought. A name that is None for a while is not in doubt, since nothing can be called on None.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)


class _Binding(NamedTuple):
    """One binding of a name by a statement: to an imported dotted name, to a value, or to neither, which is unknown."""

    scope: _Scope
    dotted: str = ""
    value: ast.expr | None = None
    enters: bool = False


class _Scope:
    def __init__(self, owner: ast.AST, parent: _Scope | None) -> None:
        self.owner = owner
        self.parent = parent
        self.bindings: dict[str, list[_Binding]] = {}

    @property
    def self_name(self) -> str | None:
        """The name of the first argument of a method, which is its object."""
        if not isinstance(self.owner, (ast.FunctionDef, ast.AsyncFunctionDef)) or self.parent is None:
            return None
        if not isinstance(self.parent.owner, ast.ClassDef) or self.owner.decorator_list:
            return None
        arguments = [*self.owner.args.posonlyargs, *self.owner.args.args]
        return arguments[0].arg if arguments else None


class Meanings:
    """The meanings of the names of one file."""

    def __init__(self, tree: ast.Module) -> None:
        """Index the bindings of every statement of *tree*."""
        self._members: dict[str, list[_Binding]] = {}
        self._elsewhere: set[str] = set()
        self._scope_of: dict[int, _Scope] = {}
        self._has_star = False
        self._calls: list[ast.Call] = []
        self._known: dict[int, str | None] = {}
        self._learn(tree)

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Yield the calls whose callee is certain, in the order of the text."""
        for call in self._calls:
            if dotted := self.of(call.func):
                yield call, dotted

    def of(self, node: ast.expr) -> str | None:
        """Return the meaning of *node*, a name or an expression of names; None if it is not certain."""
        if id(node) not in self._known:
            self._known[id(node)] = None  # a name whose meaning depends on itself has none
            scope = self._scope_of.get(id(node))
            with contextlib.suppress(RecursionError):  # a chain as long as that is no one's hand-written code
                self._known[id(node)] = self._of(node, scope) if scope is not None else None
        return self._known[id(node)]

    def _of(self, node: ast.expr, scope: _Scope) -> str | None:
        if isinstance(node, ast.Name):
            return self._of_name(node.id, scope)
        if isinstance(node, ast.Call):
            called = self.of(node.func)
            return f"{called}()" if called else None
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == scope.self_name:
                return self._of_member(node.attr, scope)
            holder = self.of(node.value)
            return f"{holder}.{node.attr}" if holder else None
        return None

    def _of_name(self, name: str, scope: _Scope) -> str | None:
        if name in self._elsewhere:
            return None
        at: _Scope | None = scope
        while at is not None:
            # The names of a class are not seen from inside its functions.
            if name in at.bindings and (at is scope or not isinstance(at.owner, ast.ClassDef)):
                is_sure = at.parent is not None or not self._has_star
                return self._agreed(at.bindings[name]) if is_sure else None
            at = at.parent
        return None

    def _of_member(self, name: str, scope: _Scope) -> str | None:
        bindings = self._members.get(name, [])
        owner = scope.parent
        assert owner is not None  # noqa: S101 - a method is in its class
        if any(binding.scope.parent is not owner for binding in bindings):
            return None
        return self._agreed([*bindings, *owner.bindings.get(name, [])])

    def _agreed(self, bindings: list[_Binding]) -> str | None:
        """Return the common meaning of *bindings*, those to None aside."""
        agreed: str | None = None
        for binding in bindings:
            if isinstance(binding.value, ast.Constant) and binding.value.value is None:
                continue
            meant = self._meant(binding)
            if meant is None or meant != (agreed or meant):
                return None
            agreed = meant
        return agreed

    def _meant(self, binding: _Binding) -> str | None:
        if binding.value is None:
            return binding.dotted or None
        found = self.of(binding.value)
        return f"{found}.__enter__()" if found and binding.enters else found

    def _learn(self, tree: ast.Module) -> None:
        queue: list[tuple[ast.AST, _Scope]] = [(tree, _Scope(tree, None))]
        while queue:
            node, scope = queue.pop()
            self._scope_of[id(node)] = scope
            if isinstance(node, ast.Call):
                self._calls.append(node)
            self._bind(node, scope)
            inner = _Scope(node, scope) if isinstance(node, _SCOPES) else scope
            own = set(map(id, _own(node)))
            queue.extend(
                (child, inner if id(child) in own else scope) for child in ast.iter_child_nodes(node)
            )
        self._calls.sort(key=lambda call: (call.lineno, call.col_offset))

    def _bind(self, node: ast.AST, scope: _Scope) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node, scope)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            self._elsewhere.update(node.names)
        for target, value, enters in _assignments(node):
            self._assign(target, scope, value, enters=enters)
        for name in _unknown_names(node):
            self._add(scope, name)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: _Scope) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                root = alias.name.partition(".")[0]
                self._add(scope, alias.asname or root, alias.name if alias.asname else root)
            else:
                self._has_star |= alias.name == "*"
                dotted = "" if node.level else f"{node.module}.{alias.name}"
                self._add(scope, alias.asname or alias.name, dotted)

    def _add(self, scope: _Scope, name: str, dotted: str = "") -> None:
        scope.bindings.setdefault(name, []).append(_Binding(scope, dotted))

    def _assign(self, target: ast.expr, scope: _Scope, value: ast.expr, *, enters: bool = False) -> None:
        if isinstance(target, ast.Name):
            scope.bindings.setdefault(target.id, []).append(_Binding(scope, "", value, enters))
            self._scope_of[id(target)] = scope
        elif isinstance(target, ast.Attribute):
            is_own = isinstance(target.value, ast.Name) and target.value.id == scope.self_name
            binding = _Binding(scope, "", value, enters) if is_own else _Binding(_Scope(target, None))
            self._members.setdefault(target.attr, []).append(binding)
        else:
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name):
                    self._add(scope, inner.id)
                elif isinstance(inner, ast.Attribute):
                    self._members.setdefault(inner.attr, []).append(_Binding(_Scope(inner, None)))


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr, bool]]:
    """Yield the targets of *node*, each with the value, and whether the value is entered by `with` first."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value, False) for target in node.targets)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value, False
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        yield from (
            (item.optional_vars, item.context_expr, True) for item in node.items if item.optional_vars
        )


def _own(node: ast.AST) -> list[ast.AST]:
    """Return the parts of *node* in the scope that it opens; decorators and defaults are in the one around."""
    if not isinstance(node, _SCOPES):
        return []
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
    return [*body, node.args] if isinstance(node, _FUNCTIONS) else body


def _unknown_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that *node* binds to an unknown value."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case (
            ast.For(target=target)
            | ast.AsyncFor(target=target)
            | ast.comprehension(target=target)
            | ast.NamedExpr(target=target)
            | ast.AugAssign(target=target)
        ):
            yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))
        case ast.Delete(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case _:
            pass
