"""Holders of `patch` and the like: whether a call patches or finds a module, from the object that it is called on.

    mocker.patch("requests.get")       by the name, as with `mock`, `monkeypatch` and `mp`
    m.setattr("requests.get", fake)    where the file binds `m` to one of these: `with monkeypatch.context() as m`
    self.patch("requests.get")         where a `def patch(self, …)` of the file calls one of these
    p("requests.get")                  where the file has `from unittest.mock import patch as p`
    client.patch("requests.json")      not certain: it may be a request

A name that the file binds to more than one thing counts only if all of them patch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from capa_codemods.read.python_file import walk_statements
from capa_codemods.read.string_uses import dotted_name
from capa_codemods.sdks.callees import KINDS

_PATCHES = re.compile(r"(?:\w*_)?(?:mock|mocker|mp|patcher|monkey\w*)|asynctest")
_FINDS = re.compile(r"(?:\w*_)?util|importlib|PathFinder")
_CALLEES = frozenset(name for callees in KINDS.values() for name in callees)
_CLASSES = frozenset({"MonkeyPatch", "MockerFixture", "MockFixture"})


class Holders:
    """The meaning of the names in one file on which `patch` and the like are called."""

    def __init__(self, tree: ast.Module | None) -> None:
        """Use the bindings of *tree* where a name alone is not enough; None if there is no tree."""
        self._tree = tree

    def usual_name(self, callee: str) -> str:
        """Return the name of *callee* where it is known by another: `patch` after `import patch as p`."""
        return callee if "." in callee else self._renamed.get(callee, callee)

    @cached_property
    def _renamed(self) -> dict[str, str]:
        """Name → the usual one of the function that the file imports under it."""
        nodes = walk_statements(self._tree) if self._tree else ()
        imports = (node for node in nodes if isinstance(node, ast.ImportFrom))
        names = (one for node in imports for one in node.names)
        return {one.asname: one.name for one in names if one.asname and one.name in _CALLEES}

    def is_meant(self, callee: str) -> bool:
        """Return whether *callee*, which ends with `patch`, `setattr` or the like, takes the name of a module."""
        holder, dot, tail = callee.removesuffix(".multiple").rpartition(".")
        if not holder:
            return not dot  # with a dot it is a method of the result of another call
        known = _FINDS if tail == "find_spec" else _PATCHES
        if known.fullmatch(holder.rpartition(".")[2]):
            return True
        origins = self._origins.get(holder, ())
        return bool(origins) and all(_stands_for(known, *origin) for origin in origins)

    @cached_property
    def _origins(self) -> dict[str, list[tuple[str, bool]]]:
        """Name → each dotted name that it is bound to, with whether it is an object that this makes."""
        found: dict[str, list[tuple[str, bool]]] = {}
        for node in ast.walk(self._tree) if self._tree else ():
            for name, value in _bindings(node):
                found.setdefault(name, []).append(value)
        return found


def _stands_for(known: re.Pattern[str], origin: str, is_made: bool) -> bool:
    holder, _, tail = origin.rpartition(".")
    if not is_made:
        return known.fullmatch(tail) is not None
    holder = holder.rpartition(".")[2]
    return tail in _CLASSES or (tail == "context" and (holder in _CLASSES or bool(known.fullmatch(holder))))


def _bindings(node: ast.AST) -> Iterator[tuple[str, tuple[str, bool]]]:
    match node:
        case ast.Import(names=aliases):
            yield from ((alias.asname, (alias.name, False)) for alias in aliases if alias.asname)
        case ast.ImportFrom(module=module, names=aliases):
            yield from (
                (alias.asname, (f"{module}.{alias.name}", False)) for alias in aliases if alias.asname
            )
        case ast.Assign(targets=targets, value=value):
            yield from ((dotted_name(target), _origin(value)) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield dotted_name(target), _origin(value)
        case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
            yield dotted_name(target), _origin(value)
        case ast.arg(arg=name, annotation=ast.Constant(value=str(dotted))):
            yield name, (dotted, True)
        case ast.arg(arg=name, annotation=ast.expr() as annotation):
            yield name, (dotted_name(annotation), True)
        case ast.FunctionDef(name="patch"):
            yield from (("self", (called, False)) for called in _holders_of_patch(node))
        case ast.FunctionDef(name=name, decorator_list=[_, *_]):
            yield from ((name, _origin(value)) for value in _given(node))
        case _:
            pass


def _origin(value: ast.expr) -> tuple[str, bool]:
    is_made = isinstance(value, ast.Call)
    return dotted_name(value.func if isinstance(value, ast.Call) else value), is_made


def _given(fixture: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield the values that a test with the argument *fixture* gets."""
    for node in ast.walk(fixture):
        if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None:
            yield node.value


def _holders_of_patch(method: ast.FunctionDef) -> Iterator[str]:
    """Yield the holders on which *method*, a helper named `patch`, calls `patch`; `mock` for a call by its name."""
    for node in ast.walk(method):
        callee = dotted_name(node.func) if isinstance(node, ast.Call) else ""
        holder, _, tail = callee.rpartition(".")
        if tail == "patch":
            yield holder if "." in callee else "mock"
