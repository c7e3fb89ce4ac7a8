"""Find the tables of a module from which names are imported when they are first used.

    _MODULES = {"get": "requests", "HTTPError": "requests.exceptions"}

    def __getattr__(name):
        return getattr(import_module(_MODULES[name]), name)

Certain only if all code that reads the table imports the values that it reads, or tests for its keys.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from capa_codemods.read.children import children

IMPORTERS = ("import_module", "__import__")
_READS_KEYS = frozenset({"list", "sorted", "set", "tuple", "len", "iter", "frozenset"})


def lazy_tables(tree: ast.Module) -> frozenset[int]:
    """Return the `id` of the string nodes in such tables that name a module."""
    tables = dict(_tables(tree))
    if not tables:
        return frozenset()
    parents: dict[int, ast.AST] = {}
    uses_of: dict[str, list[ast.Name]] = {name: [] for name in tables}
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # it grows
        inner = children(node)
        nodes += inner
        parents.update(dict.fromkeys(map(id, inner), node))
        if isinstance(node, ast.Name) and node.id in uses_of:
            uses_of[node.id].append(node)
    found: set[int] = set()
    for name, table in tables.items():
        uses = uses_of[name]
        reads = [_read(node, parents) for node in uses if isinstance(node.ctx, ast.Load)]
        if len(reads) == len(uses) - 1 and "import" in reads and None not in reads:
            found |= {id(node) for value in table.values for node in _modules(value)}
    return frozenset(found)


def lazy_keys(tree: ast.Module) -> frozenset[int]:
    """Return the `id` of the keys of tables such as `{"requests": ["get"]}` in a module with a `__getattr__`."""
    if not any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body):
        return frozenset()
    tables = [table for _, table in _tables(tree) if all(map(_is_list_of_names, table.values))]
    return frozenset(id(key) for table in tables for key in table.keys)


def _is_list_of_names(value: ast.expr) -> bool:
    return isinstance(value, (ast.List, ast.Set)) and all(
        isinstance(one, ast.Constant) and isinstance(one.value, str) for one in value.elts
    )


def _tables(tree: ast.Module) -> Iterator[tuple[str, ast.Dict]]:
    for node in tree.body:
        target = (
            node.targets[0]
            if isinstance(node, ast.Assign) and len(node.targets) == 1
            else getattr(node, "target", None)
        )
        value = getattr(node, "value", None)
        if (
            isinstance(target, ast.Name)
            and isinstance(value, ast.Dict)
            and not isinstance(node, ast.AugAssign)
        ):
            yield target.id, value


def _modules(value: ast.expr) -> Iterator[ast.Constant]:
    """Yield the name of a module in one value of a table: itself, or the first of a tuple."""
    first = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first


def _read(name: ast.Name, parents: dict[int, ast.AST]) -> str | None:
    """Return the use of the value of *name*: `import`, `keys`, or None for anything else."""
    above = parents[id(name)]
    if isinstance(above, ast.Compare) and name in above.comparators:
        return "keys"
    if isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id in _READS_KEYS:
        return "keys"
    if (
        isinstance(above, ast.Attribute)
        and isinstance(call := parents[id(above)], ast.Call)
        and call.func is above
    ):
        if above.attr == "keys":
            return "keys"
        return "import" if above.attr == "get" and _gets_imported(call, parents) else None
    if isinstance(above, ast.Subscript) and above.value is name:
        return "import" if _gets_imported(above, parents) else None
    return None


def _gets_imported(value: ast.expr, parents: dict[int, ast.AST]) -> bool:
    above = parents[id(value)]
    if _imports(above, value):
        return True
    if not isinstance(above, ast.Assign) or len(above.targets) != 1:
        return False
    target = above.targets[0]
    first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
    if not isinstance(first, ast.Name):
        return False
    scope: ast.AST = above
    while not isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if isinstance(scope, (ast.ClassDef, ast.Module)):
            return False  # others can read it from there
        scope = parents[id(scope)]
    uses = [node for node in ast.walk(scope) if isinstance(node, ast.Name) and node.id == first.id]
    reads = [node for node in uses if isinstance(node.ctx, ast.Load)]
    return len(reads) == len(uses) - 1 == 1 and _imports(parents[id(reads[0])], reads[0])


def _imports(call: ast.AST, value: ast.expr) -> bool:
    if not isinstance(call, ast.Call) or not call.args or call.args[0] is not value:
        return False
    return (getattr(call.func, "attr", "") or getattr(call.func, "id", "")) in IMPORTERS
