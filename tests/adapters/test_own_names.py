"""Code of an adapter does not look up its own class by a name that tests replace: `patch("capa_requests.Session")`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ADAPTERS = Path(__file__).parents[2] / "adapters"
MODULES = sorted(ADAPTERS.rglob("*.py"))


def _own_look_ups(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for kind in tree.body:
        if not isinstance(kind, ast.ClassDef) or kind.name.startswith("_"):
            continue
        for method in kind.body:
            if isinstance(method, ast.FunctionDef):
                # The body alone: annotations are text.
                for node in ast.walk(ast.Module(method.body, [])):
                    if isinstance(node, ast.Name) and node.id == kind.name:
                        yield kind.name, node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ADAPTERS)))
def test_a_method_of_a_public_class_does_not_name_its_class(path: Path) -> None:
    internal = any(
        part.startswith("_") and part != "__init__.py" for part in path.relative_to(ADAPTERS).parts
    )

    assert [] == ([] if internal else list(_own_look_ups(ast.parse(path.read_text()))))
