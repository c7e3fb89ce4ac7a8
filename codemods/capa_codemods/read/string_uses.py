"""Uses of the strings of a syntax tree: the calls that they are passed to, and their places."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Sequence

from capa_codemods.read.facts import StringUse

LAZY_MODULES = "__lazy_modules__"
"""The list of modules whose imports Python defers until they are used, in a module."""

_IMPORTED_NAMES = frozenset({LAZY_MODULES, "pytest_plugins"})
"""Names of a module whose strings Python or pytest imports."""

_NOWHERE = StringUse("", -1, 0, "", 0, "value", "")
_IMPORTED = _NOWHERE._replace(callee="import_module", place="argument")
_PLACES: dict[type[ast.AST], str] = {ast.Expr: "statement", ast.Compare: "compared"}
_MODULE_KEY = _NOWHERE._replace(place="subscript", holder="sys.modules")
_OF_MODULES = tuple(f".sys.modules.{method}" for method in ("get", "pop", "setdefault", "update"))
_OF_TABLES = (".setitem", ".delitem", ".patch.dict")
_TABLES = frozenset({"dic", "in_dict"})
# Strings for type checkers: names that the module binds, which stay as they are.
_TYPES = frozenset({"annotation", "returns"})


def string_uses(
    tree: ast.Module, lines: Sequence[int], imported: Container[int]
) -> Iterator[tuple[ast.Constant, StringUse]]:
    """Yield the string literals of *tree* outside annotations, and of f-strings the beginning, each with its use.

    Args:
        lines: The lines to search, sorted: most of a tree need not be entered.
        imported: The `id` of nodes that are known to get imported anywhere.
    """
    queue: list[tuple[ast.AST, StringUse]] = [(tree, _NOWHERE)]
    while queue:
        node, use = queue.pop()
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                is_imported = id(node) in imported or use.holder in _IMPORTED_NAMES
                yield node, _IMPORTED if is_imported else use
        else:
            queue.extend(child for child in _parts(node, use) if reaches(child[0], lines))


def reaches(node: ast.AST, lines: Sequence[int]) -> bool:
    """Return whether one of *lines*, which are sorted, is in *node*."""
    first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
    if first is None or last is None:
        return True
    first = min((decorator.lineno for decorator in getattr(node, "decorator_list", ())), default=first)
    return bisect_left(lines, first) < bisect_right(lines, last)


def dotted_name(node: ast.AST) -> str:
    """Return `a.b.c` for a name or a chain of attributes; another expression at its beginning becomes empty parts."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def _parts(node: ast.AST, use: StringUse) -> Iterator[tuple[ast.AST, StringUse]]:
    """Do as `_uses` does, for a text that is put together too."""
    head, rest = _built(node)
    if head is not None:
        yield head, use._replace(place="built")
        yield from ((one, _NOWHERE) for one in rest)
    elif isinstance(node, ast.AugAssign) and names_modules(node.target):
        yield from _keys_of_modules(node.value)
    elif not isinstance(node, ast.JoinedStr):
        yield from _uses(node, use)
    elif node.values:  # the text may begin with what is filled in first
        yield node.values[0], _NOWHERE


def _uses(node: ast.AST, use: StringUse) -> Iterator[tuple[ast.AST, StringUse]]:
    """Yield the children of *node*, which has itself a *use*, each with the use of a string there."""
    if isinstance(node, ast.Call):
        yield from _uses_in_call(node)
    elif isinstance(node, ast.Subscript):
        yield node.value, _NOWHERE
        yield node.slice, _NOWHERE._replace(place="subscript", holder=dotted_name(node.value))
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield from [(key, _NOWHERE._replace(place="key"))] if key else []
            held_by = str(key.value) if isinstance(key, ast.Constant) else ""
            yield value, _NOWHERE._replace(holder=held_by)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield node.value, _NOWHERE._replace(holder=dotted_name(targets[0]))
        yield from ((target, _NOWHERE) for target in targets)
    elif isinstance(node, ast.arguments):
        yield from _uses_in_defaults(node)
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)) and use.place in {"value", "compared"}:
        yield from ((one, use) for one in node.elts)
    else:
        inner = _NOWHERE._replace(place=_PLACES.get(type(node), "value"))
        for field, child in ast.iter_fields(node):
            if field not in _TYPES:
                yield from (
                    (one, inner)
                    for one in (child if isinstance(child, list) else [child])
                    if isinstance(one, ast.AST)
                )


def _uses_in_defaults(node: ast.arguments) -> Iterator[tuple[ast.AST, StringUse]]:
    positional = [*node.posonlyargs, *node.args]
    named = [*positional[len(positional) - len(node.defaults) :], *node.kwonlyargs]
    for one, default in zip(named, [*node.defaults, *node.kw_defaults], strict=True):
        if default is not None:
            yield default, _NOWHERE._replace(place="default", holder=one.arg)


def _uses_in_call(node: ast.Call) -> Iterator[tuple[ast.AST, StringUse]]:
    callee = dotted_name(node.func)
    use = _NOWHERE._replace(callee=callee, place="argument")
    yield node.func, _NOWHERE
    arguments: list[tuple[int | str, ast.expr]] = [(one.arg or "**", one.value) for one in node.keywords]
    for position, argument in [*arguments, *enumerate(node.args)]:
        if position == 0 and callee.endswith("__import__") and _is_relative(node):
            continue
        if is_module_key(node, position):
            yield from _keys_of_modules(argument)
        else:
            yield argument, use._replace(position=position)
    if takes_module_keys(node):
        yield from _keyword_keys(node)


def _keys_of_modules(node: ast.expr) -> Iterator[tuple[ast.AST, StringUse]]:
    """Yield the parts of *node*, a key of `sys.modules` or a table that is put into it, each with its use."""
    if isinstance(node, ast.Dict):
        yield from ((key, _MODULE_KEY) for key in node.keys if key)
        yield from ((value, _NOWHERE) for value in node.values)
    elif isinstance(node, ast.Call) and dotted_name(node.func) == "dict":
        yield from ((argument, _MODULE_KEY) for argument in node.args)
        yield from ((one.value, _NOWHERE) for one in node.keywords)
        yield from _keyword_keys(node)
    else:
        yield node, _MODULE_KEY


def _keyword_keys(call: ast.Call) -> Iterator[tuple[ast.AST, StringUse]]:
    """Yield the keywords of *call*, as the literals that they stand for."""
    for one in call.keywords:
        if one.arg:
            yield ast.copy_location(ast.Constant(one.arg), one), _MODULE_KEY


def names_modules(node: ast.AST) -> bool:
    """Return whether *node* is `sys.modules`, or the name of it as `patch.dict` takes it."""
    return f".{getattr(node, 'value', None)}".endswith(".sys.modules") or f".{dotted_name(node)}".endswith(
        (".sys.modules", "._sys.modules")
    )


def takes_module_keys(call: ast.Call) -> bool:
    """Return whether the keywords of *call* become keys of `sys.modules`."""
    callee = f".{dotted_name(call.func)}"
    return callee.endswith(".sys.modules.update") or (
        callee.endswith(".patch.dict") and any(map(names_modules, call.args[:1]))
    )


def is_module_key(call: ast.Call, position: int | str) -> bool:
    """Return whether the argument of *call* at *position* is a key of `sys.modules`, or a table with such keys.

    `sys.modules.pop("requests")`, `monkeypatch.setitem(sys.modules, "requests", …)`, `patch.dict("sys.modules", {…})`
    """
    callee = f".{dotted_name(call.func)}"
    if position == 0:
        return callee.endswith(_OF_MODULES)
    if position not in {1, "values", "name"} or not callee.endswith(_OF_TABLES):
        return False
    named = (one.value for one in call.keywords if one.arg in _TABLES)
    return any(map(names_modules, (*call.args[:1], *named)))


def _is_relative(call: ast.Call) -> bool:
    """Return whether this call of `__import__` may look in the package of the file: not without a level of 0."""
    levels = [*call.args[4:5], *(keyword.value for keyword in call.keywords if keyword.arg == "level")]
    return any(getattr(level, "value", None) != 0 for level in levels)


def _built(node: ast.AST) -> tuple[ast.Constant | None, list[ast.expr]]:
    """Return the literal with which the text begins that *node* puts together, if it does, and its other parts."""
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            head, rest = (left, []) if isinstance(left, ast.Constant) else _built(left)
            return head, [*rest, right]
        case ast.JoinedStr(values=[ast.Constant() as head, *_]):
            return head, []
        case ast.Call(func=ast.Attribute(value=ast.Constant() as head, attr="format")):
            return head, [*node.args, *(keyword.value for keyword in node.keywords)]
        case _:
            return None, []
