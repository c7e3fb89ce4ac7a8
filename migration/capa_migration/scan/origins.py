"""Follow the names of one file back to the SDK they come from.

An origin is a dotted old name in which `()` stands for a call: after `s = requests.Session()` the origin of `s.get` is
`requests.Session().get`, and that of `boto3.client("s3").get_object` is `boto3.client('s3').get_object`. Names are
followed through imports, assignments, `with … as`, annotations and attributes of `self`, one scope at a time. What is
bound twice to different origins in a scope is followed to the last one in the text: right for nearly all code, and a
scan counts rather than rewrites.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping

Foreign = Callable[[str, int, str], str | None]
"""Tells the origin of a name of another module of the tree: (module, dots of a relative import, name).

A module of the tree itself has the origin `@` and its path; (that, 0, name) asks for a name of it.
"""

_CALL = re.compile(r"\([^()]*\)")
_WORD = re.compile(r"[\w.-]+")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_TOLD = frozenset({ast.Import, ast.ImportFrom, ast.Call, ast.Attribute, ast.Name})
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
_NO_NODES = frozenset(
    {"ctx", "op", "ops", "id", "attr", "name", "asname", "arg", "module", "level", "type_comment"}
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


class Scope:
    """The names of a module, a class or a function."""

    def __init__(self, above: Scope | None = None, *, is_class: bool = False) -> None:
        """Open a scope inside *above*."""
        self.names: dict[str, str] = {}
        self.above = above
        self.is_class = is_class
        self.members: dict[str, str] = above.members if above is not None and not is_class else {}

    def find(self, name: str) -> str | None:
        """Return the origin of *name* as seen from here."""
        scope: Scope | None = self
        while scope is not None:
            # The names of a class body are not seen in its methods.
            if name in scope.names and (scope is self or not scope.is_class):
                return scope.names[name]
            scope = scope.above
        return None


class Origins:
    """The origins of the names in one file."""

    def __init__(
        self, roots: Mapping[str, object], returns: Mapping[str, str], foreign: Foreign | None = None
    ) -> None:
        """Follow names that begin with one of *roots*; *returns* is what `[returns]` of the import maps says."""
        self._roots = roots
        self._returns = {name: to for name, to in returns.items() if not to.endswith("()")}
        self._objects = {name: to for name, to in returns.items() if to.endswith("()")}
        self._foreign = foreign

    def of(self, node: ast.AST | None, scope: Scope) -> str | None:
        """Return the origin of the expression *node* in *scope*, or None if it comes from no SDK."""
        match node:
            case ast.Name(id=name):
                found = scope.find(name)
            case ast.Attribute():
                found = self._of_attribute(node, scope)
            case ast.Call(func=func):
                called = self.of(func, scope)
                found = self.result_of(called, node) if called else None
            case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
                found = self.of(value, scope)
            case ast.IfExp(body=body, orelse=orelse):
                found = self.of(body, scope) or self.of(orelse, scope)
            case ast.BoolOp(values=values):
                found = next((one for value in values if (one := self.of(value, scope))), None)
            case _:
                found = None
        return found or None

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        """Yield the old names that an import statement brings in: modules, and names of modules."""
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in self._roots)
        elif not node.level and node.module and node.module.partition(".")[0] in self._roots:
            for alias in node.names:
                yield node.module if alias.name == "*" else f"{node.module}.{alias.name}"

    def result_of(self, called: str, call: ast.Call | None = None) -> str:
        """Return the origin of what *called* returns; `{}` in `[returns]` is the first argument of the *call*."""
        returned = self._returns.get(plain(called), called)
        if "{}" not in returned:
            return f"{returned}()"
        first = getattr(call.args[0], "value", None) if call is not None and call.args else None
        is_word = isinstance(first, str) and _WORD.fullmatch(first)
        return returned.format(repr(first) if is_word else "")

    def bind(self, node: ast.AST, scope: Scope) -> None:
        """Learn in *scope* what the statement *node* binds."""
        if isinstance(node, ast.Import):
            self._bind_import(node, scope)
        elif isinstance(node, ast.ImportFrom):
            self._bind_from(node, scope)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, self.of(node.value, scope), scope)
        elif isinstance(node, ast.AnnAssign):
            self._assign(
                node.target, self.of(node.value, scope) or self._annotated(node.annotation, scope), scope
            )
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self._assign(item.optional_vars, self.of(item.context_expr, scope), scope)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._bind_decorated(node, scope)

    def bind_arguments(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> None:
        """Learn in the function's own *scope* what its arguments are annotated with."""
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            origin = self._annotated(argument.annotation, scope)
            if origin is not None:
                scope.names[argument.arg] = origin
            elif scope.find(argument.arg) is not None:
                scope.names[argument.arg] = ""  # hides what the name means outside

    def _of_attribute(self, node: ast.Attribute, scope: Scope) -> str | None:
        if _is_self(node.value):
            return scope.members.get(node.attr)
        origin = self.of(node.value, scope)
        if origin and origin.startswith("@"):
            return self._foreign(origin, 0, node.attr) if self._foreign else None
        return f"{self._object(origin)}.{node.attr}" if origin else None

    def _object(self, origin: str) -> str:
        """Return the object that *origin* is under the name of its class, if it has one: `app.control`."""
        return origin if origin.endswith(")") else self._objects.get(plain(origin), origin)

    def _annotated(self, node: ast.AST | None, scope: Scope) -> str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except (SyntaxError, ValueError):
                return None
        if isinstance(node, ast.Subscript):
            node = node.slice  # Optional[Session]
        if isinstance(node, ast.BinOp):
            return self._annotated(node.left, scope) or self._annotated(node.right, scope)
        origin = self.of(node, scope)
        return self.result_of(origin) if origin else None

    def _assign(self, target: ast.AST | None, origin: str | None, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            if origin is not None:
                scope.names[target.id] = origin
            elif target.id in scope.names or scope.find(target.id):
                scope.names[target.id] = ""
        elif isinstance(target, ast.Attribute) and origin and _is_self(target.value):
            scope.members[target.attr] = origin

    def _bind_import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root in self._roots:
                scope.names[alias.asname or root] = alias.name if alias.asname else root

    def _bind_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        module = node.module or ""
        for alias in node.names:
            if not node.level and module.partition(".")[0] in self._roots:
                origin: str | None = f"{module}.{alias.name}"
            else:
                origin = self._foreign(module, node.level, alias.name) if self._foreign else None
            if origin:
                scope.names[alias.asname or alias.name] = origin

    def _bind_decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        """A function under `@app.task` or `@app.task(…)` is what the decorator returns."""
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            origin = self.of(called, scope)
            if origin and plain(origin) in self._returns:
                scope.names[node.name] = self.result_of(origin)


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def plain(origin: str) -> str:
    """Return *origin* without its calls: the name under which an import map speaks of it."""
    return _CALL.sub("", origin)


def module_scope(tree: ast.Module, origins: Origins) -> Scope:
    """Return the scope of the module itself, with all its names known."""
    scope = Scope()
    queue: list[ast.AST] = list(reversed(tree.body))
    while queue:
        node = queue.pop()
        origins.bind(node, scope)
        if not isinstance(node, _SCOPES):
            queue.extend(reversed([inner for block in _BLOCKS for inner in getattr(node, block, ())]))
    return scope


def scopes(tree: ast.Module, origins: Origins) -> Iterator[tuple[Scope, ast.AST]]:
    """Yield each import, call, attribute and name of *tree* with its scope, after all names of that scope are known.

    Methods are entered after the whole class, so that `self.x` is known wherever `__init__` stands.
    """
    queue: list[tuple[Scope, ast.AST]] = [(Scope(), tree)]
    while queue:
        scope, owner = queue.pop()
        inner: list[ast.AST] = []
        nodes = list(_own_nodes(owner, inner))
        for node in nodes:
            if isinstance(node, ast.stmt):
                origins.bind(node, scope)
        yield from ((scope, node) for node in nodes if type(node) in _TOLD)
        queue.extend((_open(node, scope, origins), node) for node in reversed(inner))


def _open(node: ast.AST, scope: Scope, origins: Origins) -> Scope:
    opened = Scope(scope, is_class=isinstance(node, ast.ClassDef))
    if isinstance(node, ast.ClassDef):
        _learn_members(node, opened, origins)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        origins.bind_arguments(node, opened)
    return opened


def _learn_members(node: ast.ClassDef, scope: Scope, origins: Origins) -> None:
    for statement in node.body:
        origins.bind(statement, scope)
        scope.members.update({name: origin for name, origin in scope.names.items() if origin})
    for method in node.body:
        if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = Scope(scope)
            origins.bind_arguments(method, inside)
            for inner in _own_nodes(method, []):
                origins.bind(inner, inside)


def _own_nodes(owner: ast.AST, inner: list[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of *owner*'s own scope in the order of the text; scopes inside it go to *inner*."""
    # Decorators, defaults and annotations belong to the scope around.
    queue: list[ast.AST] = list(reversed(_body(owner)))
    while queue:
        node = queue.pop()
        yield node
        children = _children(node)
        if isinstance(node, _SCOPES):
            inner.append(node)
            body = set(map(id, _body(node)))
            children = [child for child in children if id(child) not in body]
        queue.extend(reversed(children))


def _children(node: ast.AST) -> list[ast.AST]:
    """Return what `ast.iter_child_nodes` yields but for constants, operators and contexts, which are most of it."""
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
    body = owner.body if isinstance(owner, (ast.Module, *_SCOPES)) else []
    return list(body) if isinstance(body, list) else [body]
