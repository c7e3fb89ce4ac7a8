"""The way of a string through the names of one file, to the calls that it reaches.

    TARGET = "requests.get"                                a name of a module, a function or a class (`self.TARGET`)
    for target in ("requests.get", "requests.post")        a loop, also over a table and its items
    replaced("requests.get")                               a parameter, also of a test or fixture: see receivers.py
    def target(): return "requests.get"                    a function without decorators: the calls of it in the file

A string may be changed only if every way leads to a call that takes the name of a module. All reads of a name count, in
whatever order: what is true of all of them is true of each run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from capa_codemods.read.container_paths import (
    Item,
    Parameter,
    Path,
    Returned,
    Step,
    entry,
    iterated,
    subscripted,
    unpacked,
    viewed,
)
from capa_codemods.read.facts import StringUse
from capa_codemods.read.receivers import Receiver, owner_of, receivers
from capa_codemods.read.scopes import Function, Scope, Scopes
from capa_codemods.read.string_uses import dotted_name

Takes = Callable[[str, int | str], str]
"""Returns the kind of names that a call takes at a position, given its callee: `patch`, `import`; empty for none."""

_SAME_ITEMS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter"})
_SHOWN = frozenset({"subTest"})
"""Functions that only show what they are given."""


_DEEPEST = 6
"""Containers in one another around a string; `x = [x]` would have no end."""
_DOTTED = re.compile(r"[^\W\d]\w*[.:][\w.:]+")


def uses_after_flow(
    tree: ast.Module, found: Sequence[tuple[ast.Constant, StringUse]], takes: Takes
) -> list[tuple[ast.Constant, StringUse]]:
    """Return the strings *found* in *tree*: each that reaches a call of *takes* with the use of its argument."""
    may_flow = [_may_flow(node, use, takes) for node, use in found]
    if not any(may_flow):
        return list(found)  # most files: their scopes cost as much as parsing them
    scopes = Scopes(tree)
    return [
        (node, _after_flow(node, use, scopes, takes) if is_open else use)
        for (node, use), is_open in zip(found, may_flow, strict=True)
    ]


def _may_flow(string: ast.Constant, use: StringUse, takes: Takes) -> bool:
    """Return whether *string* is a dotted name that is passed to no known call itself."""
    is_known = use.place in {"built", "table", "statement", "compared"} or takes(use.callee, use.position)
    return not is_known and _DOTTED.fullmatch(str(string.value)) is not None


def _after_flow(string: ast.Constant, use: StringUse, scopes: Scopes, takes: Takes) -> StringUse:
    reach = reach_of(string, scopes, takes)
    if not reach.sinks:
        return use
    callee, position = next(iter(reach.sinks.values()))
    is_certain = len(reach.sinks) == 1 and not reach.leak
    return use._replace(
        callee=callee,
        position=position,
        place="argument" if is_certain else "mixed",
        shared=reach.shared,
        other_line=reach.leak,
    )


class Reach(NamedTuple):
    """The calls that a string reaches.

    Attributes:
        sinks: Kind → callee and position of a call that takes the name of a module.
        leak: Line of the first place where it may be used for something else; 0 if there is none.
        shared: Names of the module itself that hold it: other files may import them.
    """

    sinks: dict[str, tuple[str, int | str]]
    leak: int
    shared: tuple[str, ...]


def reach_of(string: ast.Constant, scopes: Scopes, takes: Takes) -> Reach:
    """Return the calls that *string* reaches through the names of its file."""
    walk = _Walk(scopes, takes)
    walk.follow(string)
    return Reach(walk.sinks, min(walk.leaks, default=0), tuple(sorted(walk.shared)))


class _At(NamedTuple):
    """An expression that is the string, or a container with the string at the end of *path*."""

    node: ast.AST
    path: Path = ()


class _Walk:
    def __init__(self, scopes: Scopes, takes: Takes) -> None:
        self._scopes = scopes
        self._takes = takes
        self.sinks: dict[str, tuple[str, int | str]] = {}
        self.leaks: list[int] = []
        self.shared: set[str] = set()

    def follow(self, string: ast.Constant) -> None:
        queue, seen = [_At(string)], set()
        while queue:
            at = queue.pop()
            if len(at.path) > _DEEPEST:
                self._leak(at.node)
            elif (id(at.node), at.path) not in seen:
                seen.add((id(at.node), at.path))
                queue.extend(self._onwards(at))

    def _leak(self, node: ast.AST) -> None:
        self.leaks.append(getattr(node, "lineno", 1))

    def _each(self, node: ast.AST, paths: Iterable[Path] | None) -> Iterator[_At]:
        """Yield *node* with each of *paths*; None for something unexpected."""
        if paths is None:
            self._leak(node)
        else:
            yield from (_At(node, path) for path in paths)

    def _onwards(self, at: _At) -> Iterator[_At]:
        """Yield where the value of the expression goes from here."""
        node, path = at
        above = self._scopes.parent(node)
        match above:
            case ast.Call(func=func) if func is node and path and isinstance(path[0], Returned):
                yield _At(above, path[1:])
            case ast.Call(func=func, args=arguments) if func is not node:
                yield from self._positional(above, _place(arguments, node), at)
            case ast.keyword(arg=str(name)) if isinstance(call := self._scopes.parent(above), ast.Call):
                yield from self._argument(call, name, at)
            case ast.Attribute(attr=method):
                call = self._scopes.parent(above)
                is_called = isinstance(call, ast.Call) and call.func is above
                yield from self._each(call, viewed(path, method) if is_called else None)
            case ast.Subscript(value=value, slice=index) if value is node:
                yield from self._each(above, subscripted(path, index))
            case ast.IfExp(test=test) if test is not node:
                yield _At(above, path)
            case ast.BoolOp():
                yield _At(above, path)
            case ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
                yield _At(above, (_step(above, node), *path))
            case _:
                yield from self._given(above, at)

    def _given(self, above: ast.AST, at: _At) -> Iterator[_At]:
        """Yield where the value goes from *above*, which gives it to names."""
        node, path = at
        match above:
            case ast.Assign(targets=targets):
                yield from self._into((target, path) for target in targets)
            case ast.AnnAssign(target=target, value=value) if value is node:
                yield from self._into([(target, path)])
            case ast.NamedExpr(target=target):
                yield from self._into([(target, path)])
                yield _At(above, path)
            case (
                ast.For(target=target, iter=source)
                | ast.AsyncFor(target=target, iter=source)
                | ast.comprehension(target=target, iter=source)
            ) if source is node and (paths := iterated(path)) is not None:
                yield from self._into((target, one) for one in paths)
            case ast.arguments():
                yield from self._default(above, at)
            case ast.Return() | ast.Yield():
                yield from self._returned(above, at)
            case ast.Expr():
                pass
            case _:
                self._leak(node)

    def _positional(self, call: ast.Call, number: int, at: _At) -> Iterator[_At]:
        if any(isinstance(one, ast.Starred) for one in call.args[: number + 1]):
            self._leak(at.node)
        else:
            yield from self._argument(call, number, at)

    def _argument(self, call: ast.Call, position: int | str, at: _At) -> Iterator[_At]:
        callee = dotted_name(call.func)
        tail = callee.rpartition(".")[2]
        if (kind := self._takes(callee, position)) and not at.path:
            self.sinks.setdefault(kind, (callee, position))
        elif tail == "param":
            yield _At(call, (Parameter(position), *at.path))
        elif callee in _SAME_ITEMS:
            paths = iterated(at.path)
            yield from self._each(call, paths and [(Item(), *one) for one in paths])
        elif tail not in _SHOWN:
            found = receivers(call, position, at.path, self._scopes)
            if found is None:
                self._leak(at.node)
            yield from self._received(found or ())

    def _received(self, found: Iterable[Receiver]) -> Iterator[_At]:
        for function, name, path, is_request in found:
            for read in self._scopes.reads(function, name):
                above = self._scopes.parent(read)
                if not is_request:
                    yield _At(read, path)
                elif not isinstance(above, ast.Attribute):
                    self._leak(read)
                elif above.attr == "param":
                    yield _At(above, path)

    def _default(self, arguments: ast.arguments, at: _At) -> Iterator[_At]:
        function = self._scopes.parent(arguments)
        positional = [*arguments.posonlyargs, *arguments.args]
        named = [*positional[len(positional) - len(arguments.defaults) :], *arguments.kwonlyargs]
        for one, default in zip(named, [*arguments.defaults, *arguments.kw_defaults], strict=True):
            if default is at.node and isinstance(function, (Function, ast.Lambda)):
                yield from (_At(read, at.path) for read in self._scopes.reads(function, one.arg))

    def _returned(self, above: ast.Return | ast.Yield, at: _At) -> Iterator[_At]:
        """Yield the reads of the name of the function that returns or yields the value: calls of it give the value."""
        function = self._scopes.scope_of(above)
        is_generator = isinstance(above, ast.Yield)
        is_plain = isinstance(function, ast.FunctionDef) and not function.decorator_list
        if (
            not isinstance(function, ast.FunctionDef)
            or not is_plain
            or self._yields(function) != is_generator
        ):
            self._leak(at.node)
            return
        step = (Returned(), Item()) if is_generator else (Returned(),)
        reads = list(self._bound(function, function.name, (*step, *at.path)))
        if not reads:
            self._leak(at.node)  # a framework may call it by its name
        yield from reads

    def _yields(self, function: ast.FunctionDef) -> bool:
        inner = (node for node in ast.walk(function) if isinstance(node, (ast.Yield, ast.YieldFrom)))
        return any(self._scopes.scope_of(node) is function for node in inner)

    def _into(self, targets: Iterable[tuple[ast.expr, Path]]) -> Iterator[_At]:
        """Yield the reads of what each target binds to the value at the end of its path."""
        for target, path in targets:
            if isinstance(target, ast.Name):
                yield from self._bound(target, target.id, path)
            elif isinstance(target, ast.Attribute) and (owner := owner_of(target, self._scopes)):
                yield from self._member(owner, target.attr, path, target)
            elif isinstance(target, (ast.Tuple, ast.List)) and (inner := unpacked(path, target.elts)):
                yield from self._into(inner)
            else:
                self._leak(target)

    def _bound(self, binding: ast.AST, name: str, path: Path) -> Iterator[_At]:
        """Yield the reads of *name*, which *binding* binds to the value."""
        scope: Scope | None = self._scopes.binder(binding, name)
        if scope is None:
            self._leak(binding)
            return
        if isinstance(scope, ast.Module):
            self.shared.add(name)
        yield from (_At(read, path) for read in self._scopes.reads(scope, name))
        if isinstance(scope, ast.ClassDef):
            yield from self._member(scope, name, path, binding)

    def _member(self, owner: ast.ClassDef, name: str, path: Path, place: ast.AST) -> Iterator[_At]:
        """Yield the reads of the attribute *name* of the class *owner* and its objects."""
        if not all(dotted_name(base).endswith(("TestCase", "object")) for base in owner.bases):
            self._leak(place)  # a class around it may read the attribute too
            return
        if isinstance(self._scopes.scope_of(owner), ast.Module):
            self.shared.add(owner.name)
        for read in self._scopes.attributes(name):
            holder = owner_of(read, self._scopes) or self._class_named(read.value)
            if holder is None:
                self._leak(read)
            elif holder is owner or any(self._class_named(base) is owner for base in holder.bases):
                yield _At(read, path)

    def _class_named(self, node: ast.expr) -> ast.ClassDef | None:
        scope = self._scopes.binder(node, node.id) if isinstance(node, ast.Name) else None
        found = self._scopes.definition(scope, node.id) if scope and isinstance(node, ast.Name) else None
        return found if isinstance(found, ast.ClassDef) else None


def _step(container: ast.List | ast.Tuple | ast.Set | ast.Dict, node: ast.AST) -> Step:
    if isinstance(container, ast.Dict):
        return entry(container, node)
    return Item() if isinstance(container, ast.Set) else Item(_place(container.elts, node))


def _place(items: list[ast.expr], node: ast.AST) -> int:
    return next(number for number, one in enumerate(items) if one is node)
