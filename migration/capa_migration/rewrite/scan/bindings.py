"""Bindings of the names in one file: by imports, assignments, annotations, functions and classes."""

from __future__ import annotations

import ast

from capa_migration.rewrite.scan.nodes import bound, is_self, last_name, statements
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.scope import ProjectClass, Scope

_READ = frozenset({"cached_property", "property"})
_SAME_CALL = frozenset({"abstractmethod", "cache", "classmethod", "lru_cache", "override", "staticmethod"})
"""Decorators that leave the annotated result of a function as it is."""


class Bindings:
    """Binds names in the scopes of one file."""

    def __init__(self, origins: Origins) -> None:
        """Bind names to the origins that *origins* finds."""
        self._origins = origins

    def bind(self, node: ast.AST, scope: Scope) -> None:
        """Bind in *scope* the names of the statement *node*."""
        match node:
            case ast.Import():
                self._bind_import(node, scope)
            case ast.ImportFrom():
                self._bind_from(node, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._bind_function(node, scope)
            case ast.ClassDef():
                self._bind_class(node, scope)
            case _:
                self._bind_values(node, scope)

    def bind_arguments(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> None:
        """Bind in the function's own *scope* its arguments, by their annotations or by `bind=True`."""
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            origin = self._origins.annotated(argument.annotation, scope)
            if origin is not None:
                scope.names[argument.arg] = origin
            elif scope.find(argument.arg) is not None:
                scope.names[argument.arg] = ""  # hides the name of the outer scope
        first = [*node.args.posonlyargs, *node.args.args][:1]
        if first and (task := self._bound_to(node, scope)):
            scope.names[first[0].arg] = task

    def class_scope(self, node: ast.ClassDef, above: Scope) -> Scope:
        """Return the scope of a class that was bound in *above*, with all names that it and its methods bind."""
        own = self._origins.project.classes[self._place(node)]
        scope = Scope(above, own)
        for statement in statements(node.body):
            self.bind(statement, scope)
            own.names.update({name: scope.names.get(name, "") for name in bound(statement)})
        for method in node.body:
            if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inside = Scope(scope)
                self.bind_arguments(method, inside)
                for inner in statements(method.body):
                    self.bind(inner, inside)
        return scope

    def _bind_values(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign_value(target, value, scope)
            case ast.NamedExpr(target=target, value=value):
                self._assign_value(target, value, scope)
            case ast.AnnAssign(target=target, annotation=annotation):
                origin = self._origins.of(node.value, scope) or self._origins.annotated(annotation, scope)
                self._assign(target, origin, scope)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
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
        returned = self._origins.annotated(node.returns, scope) if node.returns else None
        decorators = {last_name(decorator) for decorator in node.decorator_list} - _SAME_CALL
        if returned and not decorators:
            scope.names[node.name] = f"={returned}"
        elif returned and scope.is_class and decorators <= _READ:
            scope.names[node.name] = returned

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
        place = self._place(node)
        own = self._origins.project.classes[place] = ProjectClass(self._base_of(node, scope))
        self.class_scope(node, scope)
        if own.base or any(own.names.values()):
            scope.names[node.name] = place

    def _base_of(self, node: ast.ClassDef, scope: Scope) -> str | None:
        """Return the origin of the objects of the only base: with two, a name may be of either."""
        origin = self._origins.of(node.bases[0], scope) if len(node.bases) == 1 else None
        return self._origins.result_of(origin) if origin and not origin.endswith(")") else None

    def _place(self, node: ast.ClassDef) -> str:
        return f"&{self._origins.project.path}:{node.lineno}:{node.name}"
