"""A docstring is a contract: what it names exists."""

import ast
import builtins
import importlib
import inspect
import re
from pathlib import Path

import pytest

from capa_core import errors

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for folder in ("capa_core", "adapters", "codemods", "migration")
    for path in (ROOT / folder).rglob("*.py")
)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_under_raises_exists(path):
    named = [(node.lineno, name) for node in _documented(path) for name in _section(node, "Raises")]
    namespace = _namespace(path) if named else {}
    unknown = [f"{path}:{line} {name}" for line, name in named if not _is_error(name, namespace)]

    assert [] == unknown


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_under_args_is_a_parameter(path):
    unknown = [
        f"{path}:{node.lineno} {name}"
        for node in _documented(path)
        for name in _section(node, "Args")
        if name.lstrip("*") not in _parameters(node)
    ]

    assert [] == unknown


def test_a_section_is_read_as_it_is_written():
    node = ast.parse(
        'def get(key):\n    """Get.\n\n    Raises:\n        A: x.\n            b: y\n        c.D: z.\n    """'
    )

    assert ["A", "c.D"] == _section(node.body[0], "Raises")


def _documented(path):
    """All classes and functions that have a docstring."""
    tree = ast.parse(path.read_bytes())
    nodes = [
        node for node in ast.walk(tree) if isinstance(node, Documented) and not isinstance(node, ast.Module)
    ]
    return [node for node in nodes if ast.get_docstring(node)]


def _section(node, title):
    """The names that begin an entry of one section of a Google-style docstring."""
    text = ast.get_docstring(node)
    found = re.search(rf"^{title}:\n((?:[ ]+\S.*\n?|\n)+)", text, re.MULTILINE)
    return re.findall(r"^    (\*{0,2}[\w.]+)(?: \(.*\))?:", found.group(1), re.MULTILINE) if found else []


def _parameters(node):
    """What callers may pass: a function's arguments; a class's fields, or the arguments of its `__init__`."""
    if isinstance(node, ast.ClassDef):
        fields = {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
        inits = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        return fields.union(*(_parameters(each) for each in inits))
    arguments = node.args
    every = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    return {each.arg for each in every if each}


def _namespace(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts if parts[0] == "capa_core" else parts[1:]
    name = ".".join(package).removesuffix(".__init__")
    return vars(importlib.import_module(name))


def _is_error(name, namespace):
    first, *rest = name.split(".")
    for place in (namespace, vars(errors), vars(builtins)):
        found = place.get(first)
        for attribute in rest:
            found = getattr(found, attribute, None)
        if inspect.isclass(found) and issubclass(found, BaseException):
            return True
    return False
