"""Entry points: drivers, adapters and the command line are found by name."""

import ast
import inspect
import pkgutil
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import capa_core.components
from capa_core.block import blocks
from capa_core.driver import Driver

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "tests" / "conformance"


@pytest.fixture
def entry_points(project):
    """All entry points that `pyproject.toml` declares, rather than those of an older editable install."""
    groups = project["project"]["entry-points"] | {"console_scripts": project["project"]["scripts"]}
    return [
        EntryPoint(name, value, group) for group, names in groups.items() for name, value in names.items()
    ]


@pytest.fixture
def driver_types():
    """Every driver class that a component offers, by `module:class`; what drivers share is private."""
    modules = pkgutil.walk_packages(capa_core.components.__path__, "capa_core.components.")
    names = [each.name for each in modules if "._" not in each.name]
    found = [
        value for name in names for value in vars(import_module(name)).values() if _is_driver_of(value, name)
    ]
    return {f"{each.__module__}:{each.__qualname__}": each for each in found}


def test_every_entry_point_resolves(entry_points):
    for each in entry_points:
        each.load()


def test_every_adapter_has_an_entry_point(entry_points, packages):
    declared = {each.value for each in entry_points if each.group == "capa.adapters"}

    assert {name for name, folder in packages.items() if folder.parent.name == "adapters"} == declared


def test_every_driver_has_an_entry_point_of_its_block(entry_points, driver_types):
    declared = {
        each.value: each.group for each in entry_points if each.value.startswith("capa_core.components.")
    }
    by_contract = {name: f"capa.{_block_of(driver)}" for name, driver in driver_types.items()}

    assert by_contract == declared


def test_every_driver_has_a_conformance_test(driver_types):
    mentioned = {word for path in CONFORMANCE.rglob("test_*.py") for word in _names(path)}

    assert [] == [name for name, driver in driver_types.items() if driver.__name__ not in mentioned]


def _block_of(driver):
    return next(name for name, block in blocks().items() if issubclass(driver, block.driver))


def _is_driver_of(value, module):
    return (
        inspect.isclass(value)
        and not value.__name__.startswith("_")
        and issubclass(value, Driver)
        and value.__module__ == module
        and not inspect.isabstract(value)
    )


def _names(path):
    tree = ast.parse(path.read_bytes())
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
