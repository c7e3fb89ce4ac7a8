"""Declarations of blocks: hand-written files outside a block's folder agree with its `BLOCK`."""

import ast
import inspect
import typing
from collections import defaultdict
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import capa_core
from capa_core import Runtime, aio
from capa_core.abilities import Feature
from capa_core.block import block_names, blocks
from capa_core.driver import Driver

each_block = pytest.mark.parametrize("block", blocks().values(), ids=list(blocks()))


def _types_of(function):
    """Return the annotations of *function*, with the names that its module imports for type checkers alone."""
    module = inspect.getmodule(function)
    tree = ast.parse(inspect.getsource(module))
    early = [node for each in tree.body if isinstance(each, ast.If) for node in each.body]
    names = dict(vars(module))
    exec(
        compile(
            ast.Module([node for node in early if isinstance(node, ast.ImportFrom)], []), "early", "exec"
        ),
        names,
    )
    return typing.get_type_hints(function, names)


def test_each_folder_of_blocks_is_a_block():
    folders = {
        path.parent.name for path in Path(import_module("capa_core.blocks").__path__[0]).glob("*/__init__.py")
    }

    assert folders == block_names() == set(blocks())


@each_block
def test_a_declaration_names_the_types_of_its_folder(block):
    home = f"capa_core.blocks.{block.name}"

    assert block.portable.__module__.startswith(f"{home}.")
    assert (f"{home}.driver", True) == (block.driver.__module__, issubclass(block.driver, Driver))
    assert (f"{home}.driver", True) == (block.features.__module__, issubclass(block.features, Feature))


@each_block
def test_the_runtime_has_an_accessor_with_the_exact_type(block):
    accessor = getattr(Runtime, block.name)
    (_, name) = inspect.signature(accessor).parameters.values()

    assert block.portable is _types_of(accessor)["return"]
    assert (inspect.Parameter.empty if block.one_per else "default") == name.default


@each_block
def test_an_accessor_returns_the_portable_type(block):
    with Runtime.in_memory() as runtime:
        component = getattr(runtime, block.name)("default")

        assert block.portable is type(component)
        assert block.name == component._guard.block


@each_block
def test_the_async_face_has_the_block(block):
    assert callable(getattr(aio, block.name))


@each_block
def test_the_flat_client_has_calls_of_the_block(block):
    tree = ast.parse(inspect.getsource(import_module("capa_core.client")))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self.runtime"
    }

    assert block.in_client == (block.name in used), (
        f"set in_client={block.name in used} in BLOCK of {block.name}, or change the calls in capa_core/client.py"
    )


def test_no_two_blocks_export_the_same_name():
    assert [] == list(claimed_twice(blocks().values()))


def test_a_name_of_two_blocks_is_reported_with_both():
    secrets = blocks()["secrets"]
    copy = replace(secrets, name="vault", face=("Vault", "Secret"))

    assert ["'Secret' is in `face` of secrets, vault: rename it in all but one"] == list(
        claimed_twice([secrets, copy])
    )


def claimed_twice(declared):
    """Yield a line for each name that more than one of the *declared* blocks exports."""
    owners = defaultdict(list)
    for block in declared:
        for name in block.face:
            owners[name].append(block.name)
    for name, found in sorted(owners.items()):
        if len(found) > 1:
            yield f"{name!r} is in `face` of {', '.join(found)}: rename it in all but one"


@each_block
def test_the_core_offers_the_names_of_the_block(block):
    home = f"capa_core.blocks.{block.name}"

    assert sorted(block.face) == sorted(name for name, module in capa_core._HOMES.items() if module == home)
    assert block.portable.__name__ in block.face


@each_block
def test_the_block_has_a_conformance_suite(block):
    suites = vars(import_module(f"capa_core.conformance.{block.name}"))
    found = [
        value for name, value in suites.items() if name.endswith("Conformance") and inspect.isclass(value)
    ]

    assert 1 == len(found)


@each_block
def test_the_embedded_driver_and_the_fake_are_installed(block):
    from capa_core.runtime._registry import drivers

    missing = {block.embedded, "memory"} - set(drivers(block))
    assert not missing, (
        f'add {missing} to [project.entry-points."{block.group}"] and install the project again'
    )


def test_the_blocks_come_in_the_order_of_closing():
    ranks = [block.closing for block in blocks().values()]

    assert sorted(ranks) == ranks
