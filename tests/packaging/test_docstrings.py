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
FOLDERS = ["capa_core", "adapters", "codemods", "migration"]
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_under_raises_exists(folder):
    unknown = [
        f"{path}:{node.lineno} {name}"
        for path, node in _documented(folder)
        for name in _section(node, "Raises")
        if not _is_error(name, _namespace(path))
    ]

    assert [] == unknown


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_under_args_is_a_parameter(folder):
    unknown = [
        f"{path}:{node.lineno} {name}"
        for path, node in _documented(folder)
        for name in _section(node, "Args")
        if name.lstrip("*") not in _parameters(node)
    ]

    assert [] == unknown


def test_a_section_is_read_as_it_is_written():
    node = ast.parse(
        'def get(key):\n    """Get.\n\n    Raises:\n        A: x.\n            b: y\n        c.D: z.\n    """'
    )

    assert ["A", "c.D"] == _section(node.body[0], "Raises")


def _documented(folder):
    """Yield the file and the node of each class and function that has a docstring."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, Documented) and ast.get_docstring(node):
                yield path, node


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
