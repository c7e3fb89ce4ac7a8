"""Docstrings as contracts: the names in them exist."""

import ast
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ERRORS = ["capa_core.errors", *(f"{path.parent.name}.errors" for path in ROOT.glob("*/capa_*/errors.py"))]
FOLDERS = ["capa_core", "adapters", "codemods", "migration"]
WITHOUT_A_NOUN = re.compile(r'(\s*"""|#+ )(What|Who|Whoever|Whatever)\b')
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_first_line_is_a_sentence(folder):
    first_lines = [
        (path, node.lineno, ast.get_docstring(node).split("\n")[0]) for path, node in _documented(folder)
    ]

    assert [] == [each for each in first_lines if not each[-1].endswith(".")]


@pytest.mark.parametrize("folder", [*FOLDERS, "benchmarks", "docs", "examples", "tests"])
def test_no_docstring_or_heading_begins_with_what_or_who(folder):
    files = [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in {".py", ".md"}]
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WITHOUT_A_NOUN.match(line)
    ]

    assert files
    assert [] == found, "\n".join(found)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_under_raises_exists(folder):
    unknown = [
        f"{path}:{node.lineno} {name}"
        for path, node in _documented(folder)
        for name in _section(node, "Raises")
        if not _is_error(name, path)
    ]

    assert [] == unknown, "\n".join(unknown)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_under_args_or_attributes_exists(folder):
    unknown = [
        f"{path}:{node.lineno} {name}"
        for path, node in _documented(folder)
        for name in [*_section(node, "Args"), *_section(node, "Attributes")]
        if name.lstrip("*") not in _parameters(node)
    ]

    assert [] == unknown, "\n".join(unknown)


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
    """Return the names to document: arguments of a function, attributes and arguments of a class."""
    if isinstance(node, ast.ClassDef):
        return {name for part in ast.walk(node) for name in _declared(part)}
    return set(_declared(node.args))


def _declared(node):
    match node:
        case ast.arguments():
            yield from (each.arg for each in ast.walk(node) if isinstance(each, ast.arg))
        case ast.FunctionDef():
            yield node.name
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Attribute(value=ast.Name("self"), ctx=ast.Store()):
            yield node.attr


def _module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts if parts[0] == "capa_core" else parts[1:]
    return ".".join(package).removesuffix(".__init__")


def _is_error(name, path):
    """Look where a reader would: here, on the package's face, in our trees of errors, in Python's."""
    module = _module(path)
    face = module.partition(".")[0]
    homes = [module, face, f"{face}.exceptions", *ERRORS, "builtins"]
    return any(_is_exception(f"{home}.{name}") for home in homes) or _is_exception(name)


def _is_exception(dotted):
    try:
        found = pkgutil.resolve_name(dotted)
    except (AttributeError, ImportError):
        return False
    return inspect.isclass(found) and issubclass(found, BaseException)
