"""The way of a string through the names of one file, to the calls that it reaches.

    TARGET = "requests.get"                                a name of a module, a function or a class (`self.TARGET`)
    for target in ("requests.get", "requests.post")        a loop or comprehension, also over a table and its items
    replaced("requests.get")                               a parameter, also of a test or fixture: see receivers.py
    def target(): return "requests.get"                    a function without decorators: the calls of it in the file
    f"{MODULE}.get"                                        a text that begins with it: see built_texts.py
    "requests.get requests.post".split()                   what becomes of it, as one that is not known: unread_texts.py

A string may be changed only if every way leads to a call that takes the name of a module. All reads of a name count, in
whatever order: what is true of all of them is true of each run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from capa_codemods.read.built_texts import UNKNOWN, Text, building, items_of, text_of
from capa_codemods.read.container_paths import (
    Item,
    Key,
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
from capa_codemods.read.facts import Held, Reached, StringUse
from capa_codemods.read.receivers import Receiver, owner_of, receivers
from capa_codemods.read.scopes import Function, Scope, Scopes
from capa_codemods.read.string_uses import dotted_name, is_module_key, names_modules
from capa_codemods.read.unread_texts import made_of

Takes = Callable[[str, int | str], str]
"""Returns the kind of names that a call takes at a position, given its callee: `patch`, `import`; empty for none."""

_SAME_ITEMS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter"})
_SHOWN = frozenset({"subTest"})
"""Functions that only show what they are given."""


_DEEPEST = 6
"""Containers in one another around a string; `x = [x]` would have no end."""
_NAME = re.compile(r"(?<![\w.])[^\W\d]")
"""The beginning of a dotted name, with what it is filled in with, `requests.%s`, or among others."""
_BETWEEN = re.compile(r"[\s,;|]+")
"""A separator of names in a text that lists them."""
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.\w+)+")
_MODULES = "sys.modules"


def uses_after_flow(
    tree: ast.Module,
    found: Sequence[tuple[ast.Constant, StringUse]],
    takes: Takes,
    *,
    only_held: bool = False,
) -> list[tuple[ast.Constant, StringUse]]:
    """Return the strings *found* in *tree*, each with the calls of *takes* that it reaches.

    With *only_held*, those alone are followed that a name is given: no call of the file passes any other on.
    """
    may_flow = [_may_flow(node, use, takes) and (use.holder or not only_held) for node, use in found]
    if not any(may_flow):
        return list(found)  # most files: their scopes cost as much as parsing them
    scopes = Scopes(tree)
    return [
        (node, _after_flow(node, use, scopes, takes) if is_open else use)
        for (node, use), is_open in zip(found, may_flow, strict=True)
    ]


def _may_flow(string: ast.Constant, use: StringUse, takes: Takes) -> bool:
    """Return whether *string* may begin a dotted name, and is passed to no known call itself."""
    is_known = use.place in {"table", "statement", "compared"} or (
        use.holder.endswith(_MODULES)
        if use.place == "subscript"
        else use.place == "argument" and takes(use.callee, use.position)
    )
    return not is_known and _NAME.search(str(string.value)) is not None


def _after_flow(string: ast.Constant, use: StringUse, scopes: Scopes, takes: Takes) -> StringUse:
    walk = _Walk(scopes, takes)
    walk.follow([_At(string, (), Text(str(string.value), is_whole=True))])
    return use._replace(
        reached=walk.reached,
        held=tuple(sorted(walk.held, key=lambda one: (one.name, one.member, one.text))),
        built=tuple(sorted({one.known for one in walk.texts if one.known != string.value}.union(walk.parts))),
        other_line=min(walk.leaks, default=0) if walk.reached else 0,
    )


def calls_reached(reads: Iterable[ast.AST], held: Held, scopes: Scopes, takes: Takes) -> tuple[Reached, ...]:
    """Return the calls of *takes* that *reads*, expressions of another file with what *held* says, reach."""
    walk = _Walk(scopes, takes)
    text = Text(held.text, held.is_whole)
    walk.follow([_At(read, cast("Path", held.path), text) for read in reads])
    return walk.reached


class _At(NamedTuple):
    """An expression that is the *text*, or a container with it at the end of *path*."""

    node: ast.AST
    path: Path
    text: Text


class _Walk:
    def __init__(self, scopes: Scopes, takes: Takes) -> None:
        self._scopes = scopes
        self._takes = takes
        self._sinks: dict[tuple[str, Text], Reached] = {}
        self.leaks: list[int] = []
        self.held: set[Held] = set()
        self.texts: set[Text] = set()
        self.parts: set[str] = set()

    @property
    def reached(self) -> tuple[Reached, ...]:
        """One call for each text and each kind of names that calls take."""
        return tuple(self._sinks.values())

    def follow(self, starts: Sequence[_At]) -> None:
        queue, seen = list(starts), set()
        while queue:
            at = queue.pop()
            if len(at.path) > _DEEPEST:
                self._leak(at.node)
            elif (id(at.node), *at[1:]) not in seen:
                seen.add((id(at.node), *at[1:]))
                self.texts.add(at.text)
                queue.extend(self._onwards(at))

    def _leak(self, node: ast.AST) -> None:
        self.leaks.append(getattr(node, "lineno", 1))

    def _each(self, node: ast.AST, paths: Iterable[Path] | None, at: _At) -> Iterator[_At]:
        """Yield *node* with each of *paths* to the text of *at*; None for something unexpected."""
        if paths is None:
            self._leak(node)
        else:
            yield from (_At(node, path, at.text) for path in paths)

    def _take(self, kind: str, callee: str, position: int | str, text: Text) -> None:
        self._sinks.setdefault((kind, text), Reached(callee, position, *text))

    def _built(self, whole: ast.AST, at: _At) -> Iterator[_At]:
        """Yield *whole*, which puts a text together from that of *at*, if it begins with that."""
        before, after = (
            text_of(whole, self._scopes, {id(at.node): self._as_given(at, text)})
            for text in (UNKNOWN, at.text)
        )
        if before == UNKNOWN and after.known:  # else an unknown part is before it
            yield _At(whole, (), after)
        else:
            yield from self._made(at)

    def _made(self, at: _At) -> Iterator[_At]:
        """Yield the expression that makes a text, which is not known, of that of *at*, if there is one."""
        if made := made_of(at.node, at.path, self._scopes):
            names = _BETWEEN.split(at.text.known.strip())
            # A text with anything else in it is prose, or the source of a program.
            self.parts.update(names if all(map(_DOTTED.fullmatch, names)) else ())
            yield _At(made.whole, made.path, at.text._replace(is_whole=False))
        else:
            self._leak(at.node)

    def _as_given(self, at: _At, text: Text) -> Text | list[Text]:
        if not at.path:
            return text
        texts = items_of(at.node, self._scopes) or []
        number = getattr(at.path[0], "number", None)
        return [text if place == number else one for place, one in enumerate(texts)]

    def _onwards(self, at: _At) -> Iterator[_At]:
        """Yield where the value of the expression goes from here."""
        node, path, text = at
        above = self._scopes.parent(node)
        is_item = len(path) == 1 and isinstance(path[0], Item)
        if (is_item or not path) and (whole := building(node, is_item=is_item, scopes=self._scopes)):
            yield from self._built(whole, at)
            return
        if made_of(node, path, self._scopes):
            yield from self._made(at)
            return
        match above:
            case ast.Call(func=func) if func is node and path and isinstance(path[0], Returned):
                yield _At(above, path[1:], text)
            case ast.Call(func=func, args=arguments) if func is not node:
                yield from self._positional(above, _place(arguments, node), at)
            case ast.keyword(arg=str(name)) if isinstance(call := self._scopes.parent(above), ast.Call):
                yield from self._argument(call, name, at)
            case ast.Attribute(attr="value" | "_value_") if not path:  # of a member of an enumeration
                yield _At(above, (), text)
            case ast.Attribute(attr=method):
                call = self._scopes.parent(above)
                is_called = isinstance(call, ast.Call) and call.func is above
                yield from self._each(call, viewed(path, method) if is_called else None, at)
            case _:
                yield from self._held_by(above, at)

    def _held_by(self, above: ast.AST, at: _At) -> Iterator[_At]:
        """Yield where the value goes from *above*, an expression that holds it or may give it."""
        node, path, text = at
        match above:
            case ast.Subscript(value=value, slice=index) if value is node:
                yield from self._each(above, subscripted(path, index), at)
            case ast.Subscript(value=table) if not path and names_modules(table):
                self._take(_MODULES, _MODULES, "", text)
            case ast.IfExp(test=test) if test is not node:
                yield _At(above, path, text)
            case ast.BoolOp():
                yield _At(above, path, text)
            case ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
                yield _At(above, (_step(above, node), *path), text)
            case ast.ListComp(elt=item) | ast.SetComp(elt=item) | ast.GeneratorExp(elt=item) if item is node:
                yield _At(above, (Item(), *path), text)
            case _:
                yield from self._given(above, at)

    def _given(self, above: ast.AST, at: _At) -> Iterator[_At]:
        """Yield where the value goes from *above*, which gives it to names."""
        node, path, text = at
        match above:
            case ast.Assign(targets=targets):
                yield from self._into(((target, path) for target in targets), text)
            case ast.AnnAssign(target=target, value=value) if value is node:
                yield from self._into([(target, path)], text)
            case ast.AugAssign(target=target) if not path:  # it may be added to nothing
                yield from self._into([(target, path)], text._replace(is_whole=False))
            case ast.NamedExpr(target=target):
                yield from self._into([(target, path)], text)
                yield _At(above, path, text)
            case (
                ast.For(target=target, iter=source)
                | ast.AsyncFor(target=target, iter=source)
                | ast.comprehension(target=target, iter=source)
            ) if source is node and (paths := iterated(path)) is not None:
                yield from self._into(((target, one) for one in paths), text)
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
            self._take(kind, callee, position, at.text)
        elif is_module_key(call, position) and at.path in {(), (Key(),)}:
            self._take(_MODULES, _MODULES, "", at.text)
        elif tail == "param":
            yield _At(call, (Parameter(position), *at.path), at.text)
        elif callee in _SAME_ITEMS:
            paths = iterated(at.path)
            yield from self._each(call, paths and [(Item(), *one) for one in paths], at)
        elif tail not in _SHOWN:
            found = receivers(call, position, at.path, self._scopes)
            if found is None:
                self._leak(at.node)
            yield from self._received(found or (), at.text)

    def _received(self, found: Iterable[Receiver], text: Text) -> Iterator[_At]:
        for function, name, path, is_request in found:
            for read in self._scopes.reads(function, name):
                above = self._scopes.parent(read)
                if not is_request:
                    yield _At(read, path, text)
                elif not isinstance(above, ast.Attribute):
                    self._leak(read)
                elif above.attr == "param":
                    yield _At(above, path, text)

    def _default(self, arguments: ast.arguments, at: _At) -> Iterator[_At]:
        function = self._scopes.parent(arguments)
        positional = [*arguments.posonlyargs, *arguments.args]
        named = [*positional[len(positional) - len(arguments.defaults) :], *arguments.kwonlyargs]
        for one, default in zip(named, [*arguments.defaults, *arguments.kw_defaults], strict=True):
            if default is at.node and isinstance(function, (Function, ast.Lambda)):
                reads = self._scopes.reads(function, one.arg)
                yield from (_At(read, at.path, at.text) for read in reads)

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
        reads = list(self._bound(function, function.name, (*step, *at.path), at.text))
        if not reads:
            self._leak(at.node)  # a framework may call it by its name
        yield from reads

    def _yields(self, function: ast.FunctionDef) -> bool:
        inner = (node for node in ast.walk(function) if isinstance(node, (ast.Yield, ast.YieldFrom)))
        return any(self._scopes.scope_of(node) is function for node in inner)

    def _into(self, targets: Iterable[tuple[ast.expr, Path]], text: Text) -> Iterator[_At]:
        """Yield the reads of what each target binds to the *text* at the end of its path."""
        for target, path in targets:
            if isinstance(target, ast.Name):
                yield from self._bound(target, target.id, path, text)
            elif isinstance(target, ast.Attribute) and (owner := owner_of(target, self._scopes)):
                yield from self._member(owner, target.attr, _At(target, path, text))
            elif isinstance(target, (ast.Tuple, ast.List)) and (inner := unpacked(path, target.elts)):
                yield from self._into(inner, text)
            else:
                self._leak(target)

    def _bound(self, binding: ast.AST, name: str, path: Path, text: Text) -> Iterator[_At]:
        """Yield the reads of *name*, which *binding* binds to the *text* at the end of *path*."""
        scope: Scope | None = self._scopes.binder(binding, name)
        if scope is None:
            self._leak(binding)
            return
        if isinstance(scope, ast.Module):
            self.held.add(Held(name, "", path, *text))
        if not path and self._scopes.is_added_to(scope, name):
            text = text._replace(is_whole=False)
        yield from (_At(read, path, text) for read in self._scopes.reads(scope, name))
        if isinstance(scope, ast.ClassDef):
            yield from self._member(scope, name, _At(binding, path, text))

    def _member(self, owner: ast.ClassDef, name: str, at: _At) -> Iterator[_At]:
        """Yield the reads of the attribute *name* of the class *owner* and its objects, which is given it at *at*."""
        if isinstance(self._scopes.scope_of(owner), ast.Module):
            self.held.add(Held(owner.name, name, at.path, *at.text))
        if not all(dotted_name(base).endswith(("TestCase", "object")) for base in owner.bases):
            self._leak(at.node)  # a class around it may read the attribute too
        for read in self._scopes.attributes(name):
            holder = owner_of(read, self._scopes) or self._class_named(read.value)
            if holder is None:
                self._leak(read)
            elif holder is owner or self._inherits(holder, owner) or self._inherits(owner, holder):
                yield _At(read, at.path, at.text)

    def _inherits(self, one: ast.ClassDef, other: ast.ClassDef) -> bool:
        return any(self._class_named(base) is other for base in one.bases)

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
