"""Bindings of the names in one file: by imports, assignments, annotations, functions and classes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from capa_migration.rewrite.scan.nodes import bound, is_self, last_name, statements
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.scope import ProjectClass, Scope

_READ = frozenset({"cached_property", "property"})
_SAME_CALL = frozenset({"abstractmethod", "cache", "classmethod", "lru_cache", "override", "staticmethod"})
"""Decorators that leave the result of a function as it is."""
_ENTERED = frozenset({"asynccontextmanager", "contextmanager"})
"""Decorators under which `with` binds the value that the function yields."""
_MAX_ROUNDS = 4
"""Rounds over the methods of a class at most: a method may return the result of one that is further down."""


class Bindings:
    """Binds names in the scopes of one file."""

    def __init__(self, origins: Origins) -> None:
        """Bind names to the origins that *origins* finds."""
        self._origins = origins

    def bind(self, node: ast.AST, scope: Scope) -> None:
        """Bind in *scope* the names of the statement *node*."""
        if bind := _BY_KIND.get(type(node)):
            bind(self, node, scope)

    def bind_arguments(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> None:
        """Bind in the function's own *scope* its arguments, by their annotations or by `bind=True`."""
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            annotation = argument.annotation
            origin = self._origins.annotated(annotation, scope) if annotation is not None else None
            if origin is not None:
                scope.names[argument.arg] = origin
            elif scope.find(argument.arg) is not None:
                scope.names[argument.arg] = ""  # hides the name of the outer scope
        first = [*node.args.posonlyargs, *node.args.args][:1]
        if first and (task := self._bound_to(node, scope)):
            scope.names[first[0].arg] = task

    def class_scope(self, node: ast.ClassDef, above: Scope) -> Scope:
        """Return the scope of a class that was bound in *above*, with all names that it and its methods bind."""
        own = self._origins.project.classes[self._origins.place(node)]
        scope = Scope(above, own)
        for statement in statements(node.body):
            self.bind(statement, scope)
            own.names.update({name: scope.names.get(name, "") for name in bound(statement)})
        methods = [one for one in node.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
        for _ in range(_MAX_ROUNDS):
            before = own.visible_names
            for method in methods:
                own.names[method.name] = self._method(method, scope)
            if own.visible_names == before:
                break
        return scope

    def _method(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> str:
        """Bind what a method of the class of *scope* assigns to `self`, and return the origin of the method's name."""
        body = list(statements(node.body))
        inside = self._inside(node, body, scope) if body else scope
        if node.returns is None and not scope.names.get(node.name):
            return self._named(node, self._result(node, body, inside), is_method=True)
        return scope.own.names[node.name]

    def _inside(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, body: Iterable[ast.AST], scope: Scope
    ) -> Scope:
        """Return the scope of a function in *scope*, with all names bound that the statements of its *body* bind."""
        inside = Scope(scope)
        self.bind_arguments(node, inside)
        for statement in body:
            self.bind(statement, inside)
        return inside

    def _result(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, body: Iterable[ast.AST], inside: Scope
    ) -> str | None:
        """Return the origin of all that a function with the scope *inside* returns, or under `contextmanager` yields.

        None if that is of no SDK, or not always the same; a returned None aside.
        """
        is_entered = any(last_name(one) in _ENTERED for one in node.decorator_list)
        given = _yielded(body) if is_entered else _returned(body)
        found = {self._origins.of(value, inside) for value in given}
        return found.pop() if len(found) == 1 else None

    def _bind_assignment(self, node: ast.Assign, scope: Scope) -> None:
        for target in node.targets:
            self._assign_value(target, node.value, scope)

    def _bind_expression(self, node: ast.NamedExpr, scope: Scope) -> None:
        self._assign_value(node.target, node.value, scope)

    def _bind_annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        origin = self._origins.of(node.value, scope) or self._origins.annotated(node.annotation, scope)
        self._assign(node.target, origin, scope)

    def _bind_with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> None:
        for item in node.items:
            self._assign(item.optional_vars, self._entered(item.context_expr, scope), scope)

    def _entered(self, node: ast.expr, scope: Scope) -> str | None:
        """Return the origin that `with node as` binds: the object itself, unless its class defines `__enter__`."""
        origin = self._origins.of(node, scope)
        own = self._origins.project.classes.get((origin or "").removesuffix("()"))
        return None if own is not None and own.names.keys() & {"__enter__", "__aenter__"} else origin

    def _assign_value(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        if not isinstance(target, (ast.Tuple, ast.List)):
            self._assign(target, self._origins.of(value, scope), scope)
            return
        values = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
        is_starred = any(isinstance(one, ast.Starred) for one in (*target.elts, *values))
        is_alike = len(values) == len(target.elts) and not is_starred
        origins = [self._origins.of(one, scope) if is_alike else None for one in values or target.elts]
        for one, origin in zip(target.elts, origins, strict=False):
            self._assign(one, origin, scope)

    def _assign(self, target: ast.AST | None, origin: str | None, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            if origin is not None:
                scope.names[target.id] = origin
            elif target.id in scope.names or scope.find(target.id):
                scope.names[target.id] = ""
        elif isinstance(target, ast.Attribute) and is_self(target.value):
            names = scope.own.names
            names[target.attr] = origin or names.get(target.attr, "")

    def _bind_import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root in self._origins.roots:
                scope.names[alias.asname or root] = alias.name if alias.asname else root
                continue
            above, _, name = alias.name.rpartition(".") if alias.asname else ("", "", root)
            origin = self._origins.project.origin(above, 0, name)
            if origin and origin.startswith("@"):
                scope.names[alias.asname or root] = origin

    def _bind_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        module = node.module or ""
        for alias in node.names:
            if not node.level and module.partition(".")[0] in self._origins.roots:
                origin: str | None = f"{module}.{alias.name}"
            elif alias.name == "*":
                scope.names.update(self._origins.project.all_of(module, node.level))
                continue
            else:
                origin = self._origins.project.origin(module, node.level, alias.name)
            if origin:
                scope.names[alias.asname or alias.name] = origin

    def _bind_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        """Bind the name of a function: under `@app.task` or `@app.task(…)` to the result of the decorator."""
        for decorator in node.decorator_list:
            origin = self._origins.of(decorator.func if isinstance(decorator, ast.Call) else decorator, scope)
            if origin and self._origins.is_listed(origin):
                scope.names[node.name] = self._origins.result_of(origin) or ""
                return
        if node.returns is not None:
            returned = self._origins.annotated(node.returns, scope)
        elif scope.is_class:
            return  # its methods may use names that are bound further down
        else:
            body = list(statements(node.body))
            returned = self._result(node, body, self._inside(node, body, scope))
        if origin := self._named(node, returned, is_method=scope.is_class):
            scope.names[node.name] = origin

    def _named(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, returned: str | None, *, is_method: bool
    ) -> str:
        """Return the origin of the name of a function that returns *returned*; empty if it is of no SDK."""
        decorators = {last_name(decorator) for decorator in node.decorator_list} - _SAME_CALL
        if returned and decorators <= _ENTERED:
            return f"={returned}"
        return returned if returned and is_method and decorators <= _READ else ""

    def _bound_to(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope
    ) -> str | None:
        """Return the origin of the first argument of a function under `@app.task(bind=True)`: the task."""
        for decorator in getattr(node, "decorator_list", ()):
            given = {one.arg: one.value for one in getattr(decorator, "keywords", ())}
            if getattr(given.get("bind"), "value", None) is not True:
                continue
            origin = self._origins.of(decorator.func, scope)
            if origin and self._origins.is_listed(origin):
                made_of = self._origins.of(given["base"], scope) if "base" in given else origin
                return self._origins.result_of(made_of) if made_of else None
        return None

    def _bind_class(self, node: ast.ClassDef, scope: Scope) -> None:
        place = self._origins.place(node)
        own = self._origins.project.classes[place] = self._class(node, scope)
        self.class_scope(node, scope)
        if own.base or own.bases or any(own.names.values()):
            scope.names[node.name] = place

    def _class(self, node: ast.ClassDef, scope: Scope) -> ProjectClass:
        """Return the class without its names. Of several bases, a name of an SDK may be of either."""
        bases = [base for one in node.bases if (base := self._object_of(one, scope))]
        is_certain = len(node.bases) == 1
        return ProjectClass(
            bases[0] if bases and is_certain else None, tuple(one for one in bases if one.startswith("&"))
        )

    def _object_of(self, base: ast.expr, scope: Scope) -> str | None:
        """Return the origin of the objects of the class *base*."""
        origin = self._origins.of(base, scope)
        return self._origins.result_of(origin) if origin and not origin.endswith(")") else None


_BY_KIND: dict[type[ast.AST], Callable[[Bindings, Any, Scope], None]] = {
    ast.Import: Bindings._bind_import,
    ast.ImportFrom: Bindings._bind_from,
    ast.FunctionDef: Bindings._bind_function,
    ast.AsyncFunctionDef: Bindings._bind_function,
    ast.ClassDef: Bindings._bind_class,
    ast.Assign: Bindings._bind_assignment,
    ast.NamedExpr: Bindings._bind_expression,
    ast.AnnAssign: Bindings._bind_annotated,
    ast.With: Bindings._bind_with,
    ast.AsyncWith: Bindings._bind_with,
}
"""Of the class: methods bound to an object, and kept in it, would keep it until garbage is collected."""


def _returned(body: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Yield the values that the statements of a function return, None aside."""
    for one in body:
        if isinstance(one, ast.Return) and one.value is not None and not _is_none(one.value):
            yield one.value


def _yielded(body: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Yield the values of the statements in which a function yields."""
    for one in body:
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Yield) and one.value.value is not None:
            yield one.value.value


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
