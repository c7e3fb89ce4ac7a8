"""Receivers: the parameters that get what a call passes on, also when pytest does so.

replaced("requests.get")                                  `path` of `def replaced(path)` in the same file
@pytest.mark.parametrize("target", ["requests.get"])      `target` of the decorated test
@pytest.mark.parametrize("sent", […], indirect=True)      `request.param` of the fixture `sent`
@pytest.fixture(params=["requests.get"])                  `request.param` of the decorated fixture
@parameterized.expand([("a", "requests.get")])            the second parameter of the decorated method, after `self`
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from capa_codemods.read.container_paths import Item, Parameter, Path
from capa_codemods.read.scopes import Function, Scopes
from capa_codemods.read.string_uses import dotted_name

_SAME_SIGNATURE = frozenset({"contextmanager", "asynccontextmanager", "staticmethod", "classmethod"})
"""Decorators that pass all arguments on as they are."""


class Receiver(NamedTuple):
    """The parameter *name* of *function*, which gets the container, or what is in it, at the end of *path*.

    Attributes:
        is_request: Whether it is the attribute `param` of that parameter.
    """

    function: Function
    name: str
    path: Path
    is_request: bool = False


def receivers(call: ast.Call, position: int | str, path: Path, scopes: Scopes) -> list[Receiver] | None:
    """Return the parameters of the file that get the argument at *position* of *call*; None if others may get it."""
    tail = dotted_name(call.func).rpartition(".")[2]
    if tail == "parametrize":
        return _parametrized(call, position, path, scopes)
    if tail == "fixture":
        return _of_fixture(call, position, path, scopes)
    if f".{dotted_name(call.func)}".endswith(".parameterized.expand"):
        return _expanded(call, position, path, scopes)
    function = called_function(call.func, scopes)
    name = parameter_of(function, position, call.func) if function else None
    return [Receiver(function, name, path)] if function and name else None


def called_function(callee: ast.expr, scopes: Scopes) -> Function | None:
    """Return the one function of the file that *callee* names: `replaced`, or `self.replaced` in a method."""
    name = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
    scope = owner_of(callee, scopes) if isinstance(callee, ast.Attribute) else scopes.binder(callee, name)
    found = scopes.definition(scope, name) if scope is not None else None
    return found if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def owner_of(read: ast.Attribute, scopes: Scopes) -> ast.ClassDef | None:
    """Return the class in whose method *read* is an attribute of the first argument; None if it is not."""
    if not isinstance(read.value, ast.Name):
        return None
    method = scopes.binder(read.value, read.value.id)
    if not isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    first = [one.arg for one in (*method.args.posonlyargs, *method.args.args)][:1]
    return scopes.class_of(method) if [read.value.id] == first else None


def parameter_of(function: Function, position: int | str, callee: ast.expr) -> str | None:
    """Return the parameter of *function*, called as *callee*, that gets the argument at *position*; None if unclear."""
    decorators = {_last_name(one) for one in function.decorator_list}
    if not decorators <= _SAME_SIGNATURE:
        return None
    positional = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(position, str):
        named = [*positional, *(one.arg for one in function.args.kwonlyargs)]
        return position if position in named else None
    is_bound = isinstance(callee, ast.Attribute) and "staticmethod" not in decorators
    return (dict(enumerate(positional[is_bound:])).get(position)) if position >= 0 else None


def _parametrized(call: ast.Call, position: int | str, path: Path, scopes: Scopes) -> list[Receiver] | None:
    names, is_single = _argument_names(call)
    tests = _decorated(call, scopes)
    if position not in {1, "argvalues"} or not names or not tests or not path:
        return None
    column, inner = _column(path[1:], is_single=is_single)
    if not isinstance(column, int) or column >= len(names):
        return None
    name = names[column]
    if _is_indirect(call, name):
        fixtures = [one for one in scopes.functions if one.name == name and is_fixture(one)]
        return [Receiver(one, "request", inner, is_request=True) for one in fixtures] or None
    # A fixture of the test that has the argument gets the value too.
    takers = [*tests, *filter(is_fixture, scopes.functions)]
    return [Receiver(one, name, inner) for one in takers if _has(one, name)] or None


def _column(path: Path, *, is_single: bool) -> tuple[int | str | None, Path]:
    """Return the number of the argument to which the value in a row of values belongs, and the path in that value."""
    if path and isinstance(path[0], Parameter):
        return path[0].number, path[1:]
    if is_single:
        return 0, path
    return (path[0].number, path[1:]) if path and isinstance(path[0], Item) else (None, path)


def _argument_names(call: ast.Call) -> tuple[list[str], bool]:
    """Return the names that a call of `parametrize` lists, and whether a row is the value of a single one."""
    given = [*call.args[:1], *(one.value for one in call.keywords if one.arg == "argnames")]
    if not given:
        return [], False
    if isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
        listed = [name for name in re.split(r"[\s,]+", given[0].value) if name]
        return listed, len(listed) == 1
    return [str(getattr(one, "value", "")) for one in getattr(given[0], "elts", ())], False


def _is_indirect(call: ast.Call, name: str) -> bool:
    for keyword in call.keywords:
        if keyword.arg == "indirect":
            listed = [getattr(one, "value", None) for one in getattr(keyword.value, "elts", ())]
            return name in listed or getattr(keyword.value, "value", None) is True
    return False


def _of_fixture(call: ast.Call, position: int | str, path: Path, scopes: Scopes) -> list[Receiver] | None:
    if position != "params" or not path:
        return None
    step = path[1] if len(path) > 1 else None
    inner = path[2:] if isinstance(step, Parameter) else path[1:]
    return [Receiver(one, "request", inner, is_request=True) for one in _decorated(call, scopes)] or None


def _expanded(call: ast.Call, position: int | str, path: Path, scopes: Scopes) -> list[Receiver] | None:
    """Return the parameter of the method that gets an item of a row, or a row that is one string."""
    methods = [one for one in _decorated(call, scopes) if scopes.class_of(one)]
    shown_to_others = {one.arg for one in call.keywords} & {"name_func", "doc_func", None}
    if position not in {0, "input"} or not path or not isinstance(path[0], Item) or shown_to_others:
        return None
    step = path[1] if len(path) > 1 else Item(0)
    if not isinstance(step, (Item, Parameter)):
        return None
    column = step.number
    found = []
    for method in methods:
        own = [one.arg for one in (*method.args.posonlyargs, *method.args.args)][1:]
        name = (
            column if isinstance(column, str) else dict(enumerate(own)).get(-1 if column is None else column)
        )
        if name is None or not _has(method, name):
            return None
        found.append(Receiver(method, name, path[2:]))
    return found or None


def _decorated(call: ast.Call, scopes: Scopes) -> list[Function]:
    """Return the functions that *call* decorates; of a class all methods."""
    owner = scopes.parent(call)
    if call not in getattr(owner, "decorator_list", ()):
        return []
    if isinstance(owner, ast.ClassDef):
        return [one for one in scopes.functions if scopes.class_of(one) is owner]
    return [owner] if isinstance(owner, (ast.FunctionDef, ast.AsyncFunctionDef)) else []


def is_fixture(function: Function) -> bool:
    """Return whether *function* is a fixture of pytest."""
    return any("fixture" in _last_name(one) for one in function.decorator_list)


def _has(function: Function, name: str) -> bool:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return any(one.arg == name for one in arguments)


def _last_name(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return dotted_name(node).rpartition(".")[2]
