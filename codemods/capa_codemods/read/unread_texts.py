"""Texts that expressions make of a literal in ways that are not computed here, so that only their origin is known.

    "requests.get requests.post".split()      "requests.get ".strip()      "x.get".replace("x", "requests")
    "{m}.get".format_map({"m": "requests"})   "%(m)s.get" % {"m": "requests"}
    Template("$m.get").substitute(m="requests")

A value counts where the text may begin with it: what follows other words names something else.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from capa_codemods.read.built_texts import text_of
from capa_codemods.read.container_paths import Item, Path, Value
from capa_codemods.read.scopes import Scopes
from capa_codemods.read.string_uses import dotted_name

_LISTING = frozenset({"split", "rsplit", "splitlines", "partition", "rpartition"})
_FILLING = frozenset({"format", "format_map", "substitute", "safe_substitute"})
_STRIPPING = frozenset({"strip", "lstrip", "rstrip", "removeprefix", "removesuffix"})
_CHANGING = _FILLING | _STRIPPING | {"replace", "lower", "casefold", "translate", "__add__"}
_SAME = frozenset({"str", "Template", "string.Template", "sys.intern", "intern"})
_FIRST = re.compile(r"%\((?P<percent>\w+)\)|\{(?P<brace>\w*)|\$\{?(?P<dollar>\w+)")
"""The placeholder with which a template begins."""


class Made(NamedTuple):
    """The expression *whole* that holds, at the end of *path*, what it makes of a text."""

    whole: ast.AST
    path: Path


def made_of(node: ast.AST, path: Path, scopes: Scopes) -> Made | None:
    """Return what is made of the text at the end of *path* in *node*; None if that is not how it is used."""
    above = scopes.parent(node)
    match above:
        case ast.Attribute(attr=method) if not path:
            call = scopes.parent(above)
            return _result(call, method) if isinstance(call, ast.Call) and call.func is above else None
        case ast.Subscript(value=value) if value is node and not path:
            return Made(above, ())
        case ast.BinOp(op=ast.Mod(), left=template, right=right) if right is node:
            return _filled(above, template, path, scopes)
        case _:
            return _passed(node, path, scopes)


def _passed(node: ast.AST, path: Path, scopes: Scopes) -> Made | None:
    """Return what a call makes of *node*, an argument."""
    above = scopes.parent(node)
    match above:
        case ast.Call(args=args) if any(one is node for one in args):
            return _of_argument(above, node, path, scopes)
        case ast.keyword(arg=name):
            return _of_keyword(scopes.parent(above), name, path, scopes)
        case ast.Starred():
            return _of_items(scopes.parent(above), path, scopes)
        case _:
            return None


def _result(call: ast.Call, method: str) -> Made | None:
    if method in _LISTING:
        return Made(call, (Item(),))
    return Made(call, ()) if method in _CHANGING else None


def _of_argument(call: ast.Call, node: ast.AST, path: Path, scopes: Scopes) -> Made | None:
    if dotted_name(call.func) in _SAME:
        return None if path else Made(call, ())
    if not isinstance(call.func, ast.Attribute):
        return None
    template, method = call.func.value, call.func.attr
    number = next(number for number, one in enumerate(call.args) if one is node)
    if method == "format":
        may_begin = _begins_with(template, number, scopes)
    elif method == "replace":
        known, old = (text_of(one, scopes, {}).known for one in (template, call.args[0]))
        may_begin = number == 1 and not path and known.startswith(old)
    elif method == "join":
        may_begin = len(path) == 1 and isinstance(path[0], Item) and path[0].number in {0, None}
    else:
        return _filled(call, template, path, scopes) if method in _FILLING else None
    return Made(call, ()) if may_begin else None


def _of_keyword(call: ast.AST, name: str | None, path: Path, scopes: Scopes) -> Made | None:
    if not isinstance(call, ast.Call):
        return None
    if isinstance(call.func, ast.Name) and call.func.id == "dict" and name:
        return Made(call, (Value(name), *path))
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _FILLING:
        return None
    if name is None:
        return _filled(call, call.func.value, path, scopes)
    return Made(call, ()) if _begins_with(call.func.value, name, scopes) else None


def _of_items(call: ast.AST, path: Path, scopes: Scopes) -> Made | None:
    """Return what a call of `format` makes of a sequence whose items are its arguments."""
    if not isinstance(call, ast.Call) or len(path) != 1 or not isinstance(path[0], Item):
        return None
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "format":
        return None
    return Made(call, ()) if _begins_with(call.func.value, path[0].number, scopes) else None


def _filled(whole: ast.AST, template: ast.AST, path: Path, scopes: Scopes) -> Made | None:
    """Return what the *template* becomes with a table of values."""
    if len(path) != 1 or not isinstance(path[0], Value):
        return None
    return Made(whole, ()) if _begins_with(template, path[0].key, scopes) else None


def _begins_with(template: ast.AST, name: object, scopes: Scopes) -> bool:
    """Return whether *template* may begin with the value of *name*; any if that is None."""
    if isinstance(template, ast.Call) and template.args:
        template = template.args[0]  # of `Template`
    known = text_of(template, scopes, {}).known
    found = _FIRST.match(known)
    if found is None:
        return not known
    first = found[found.lastgroup or 0] or "0"
    return name is None or first == str(name)
