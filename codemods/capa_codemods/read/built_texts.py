"""Texts that expressions put together, as far as they are known before the program runs.

    "requests" + ".get"      f"{MODULE}.get"      "%s.get" % MODULE      "{}.get".format(MODULE)
    ".".join((MODULE, "get"))

A name counts where all that its scope gives it is one such text.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from capa_codemods.read.scopes import Scopes


class Text(NamedTuple):
    """The text of an expression: its *known* beginning, and whether that is all of it."""

    known: str = ""
    is_whole: bool = False


UNKNOWN = Text()

Given = Mapping[int, "Text | list[Text]"]
"""`id` of an expression → its text, or the texts in it."""

_DEEPEST = 8
"""Expressions and names in one another; `x = x + "a"` would have no end."""
_PLACEHOLDER = re.compile(r"%(.)", re.DOTALL)


def building(node: ast.AST, *, is_item: bool, scopes: Scopes) -> ast.AST | None:
    """Return the expression that puts a text together from *node*; None if that is not how it is used.

    Args:
        node: A part of a text, or with *is_item* a list or tuple that holds one.
        is_item: Whether it holds the part.
        scopes: Those of the file.
    """
    above = scopes.parent(node)
    is_between = isinstance(above, (ast.FormattedValue, ast.keyword, ast.Attribute))
    whole = scopes.parent(above) if is_between else above
    is_built = _is_built_from_items(whole, node) if is_item else _is_built_from(whole, above, node)
    return whole if is_built else None


def _is_built_from(whole: ast.AST, above: ast.AST, node: ast.AST) -> bool:
    match whole:
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return above is whole
        case ast.JoinedStr():
            return above is whole or getattr(above, "value", None) is node
        case ast.Call(func=ast.Attribute(attr="format") as method):
            return above is method or isinstance(above, ast.keyword) or any(one is node for one in whole.args)
        case _:
            return False


def _is_built_from_items(whole: ast.AST, node: ast.AST) -> bool:
    match whole:
        case ast.BinOp(op=ast.Mod(), right=one) | ast.Call(func=ast.Attribute(attr="join"), args=[one]):
            return one is node
        case _:
            return False


def text_of(node: ast.AST, scopes: Scopes, given: Given) -> Text:
    """Return the text of *node*, in a file with *scopes*, where the texts *given* are known."""
    return _Reader(scopes, given).text(node)


def items_of(node: ast.AST, scopes: Scopes) -> list[Text] | None:
    """Return the texts in *node*, a list or tuple that is written out, or a name of one; None if it is neither."""
    return _Reader(scopes, {}).items(node)


class _Reader:
    def __init__(self, scopes: Scopes, given: Given) -> None:
        self._scopes = scopes
        self._given = given
        self._depth = 0

    def text(self, node: ast.AST) -> Text:
        if isinstance(known := self._given.get(id(node)), Text):
            return known
        if self._depth > _DEEPEST:
            return UNKNOWN
        self._depth += 1
        found = _joined(self._parts(node))
        self._depth -= 1
        return found

    def items(self, node: ast.AST) -> list[Text] | None:
        if isinstance(known := self._given.get(id(node)), list):
            return known
        if isinstance(node, ast.Name):
            node = self._scopes.value(node) or node
        return list(map(self.text, node.elts)) if isinstance(node, (ast.List, ast.Tuple)) else None

    def _parts(self, node: ast.AST) -> Iterable[Text]:
        match node:
            case ast.Constant(value=str(value)):
                return [Text(value, is_whole=True)]
            case ast.Name():
                bound = self._scopes.value(node)
                return [self.text(bound) if bound is not None else UNKNOWN]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return map(self.text, (left, right))
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                texts = None if isinstance(right, ast.List) else self.items(right)
                return _filled(self.text(left), [self.text(right)] if texts is None else texts)
            case ast.Call(func=ast.Attribute() as method):
                return self._parts_of_call(node, method)
            case _:
                return self._parts_of_f_string(node)

    def _parts_of_f_string(self, node: ast.AST) -> Iterable[Text]:
        match node:
            case ast.JoinedStr(values=values):
                return map(self.text, values)
            case ast.FormattedValue(value=value, conversion=-1 | 115, format_spec=None):
                return [self.text(value)]
            case _:
                return [UNKNOWN]

    def _parts_of_call(self, call: ast.Call, method: ast.Attribute) -> Iterable[Text]:
        if method.attr == "format":
            named = {one.arg or "**": self.text(one.value) for one in call.keywords}
            return _formatted(self.text(method.value), list(map(self.text, call.args)), named)
        texts = self.items(call.args[0]) if method.attr == "join" and call.args else None
        return [UNKNOWN] if texts is None else _separated(self.text(method.value), texts)


def _joined(texts: Iterable[Text]) -> Text:
    known = ""
    for one in texts:
        known += one.known
        if not one.is_whole:
            return Text(known)
    return Text(known, is_whole=True)


def _separated(between: Text, texts: list[Text]) -> Iterator[Text]:
    for number, one in enumerate(texts):
        yield from [between] if number else []
        yield one


def _filled(template: Text, values: list[Text]) -> Iterator[Text]:
    """Yield the parts of `template % values`."""
    at, left = 0, iter(values)
    for found in _PLACEHOLDER.finditer(template.known):
        yield Text(template.known[at : found.start()], is_whole=True)
        kinds = {"%": Text("%", is_whole=True), "s": next(left, UNKNOWN) if found[1] == "s" else UNKNOWN}
        yield kinds.get(found[1], UNKNOWN)
        at = found.end()
    yield template._replace(known=template.known[at:])


def _formatted(template: Text, values: list[Text], named: Mapping[str, Text]) -> Iterator[Text]:
    """Yield the parts of `template.format(*values, **named)`."""
    try:
        parts = list(string.Formatter().parse(template.known))
    except ValueError:
        yield UNKNOWN
        return
    known = {**named, **{str(number): one for number, one in enumerate(values)}}
    numbers = iter(range(len(values)))
    for literal, field, spec, conversion in parts:
        yield Text(literal, is_whole=True)
        if field is not None:
            name = field or str(next(numbers, ""))
            yield known.get(name, UNKNOWN) if not spec and conversion in {None, "s"} else UNKNOWN
    yield template._replace(known="")
