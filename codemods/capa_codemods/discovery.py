"""Find the import maps of installed adapters, the data of engines and the rules of others, without importing them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from glob import escape, glob
from importlib.metadata import EntryPoint, EntryPoints, PackageNotFoundError, distribution, entry_points
from typing import Any

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.names import CAPA_DISTRIBUTION

ADAPTERS = "capa.adapters"
RULES = "capa.rules"
COMMANDS = "capa.commands"
MAP_NAME = "import_map.toml"
ENGINE_NAME = "engine.toml"


def import_map_paths() -> list[str]:
    """Return the path of each installed adapter's import map, sorted by adapter.

    An adapter without a map has no rewrite; it is ignored.

    Raises:
        ImportMapError: An adapter is registered whose package cannot be found.
    """
    return list(dict.fromkeys(_installed_maps()))


def engine_files() -> list[str]:
    """Return the path of each engine.toml: of the core, and in or above the folders of drivers that others register."""
    found = glob(f"{escape(_location('capa_core'))}/components/*/{ENGINE_NAME}")
    groups = [group for group in _registered().groups if group.startswith("capa.")]
    for module in sorted({entry.module for group in groups for entry in _entries(group)}):
        top, *rest = module.split(".")
        folders = [os.path.join(_location(top), *rest[:depth]) for depth in range(len(rest), -1, -1)]
        paths = (os.path.join(folder, ENGINE_NAME) for folder in folders)
        found += [path for path in paths if os.path.isfile(path)][:1]
    return sorted(set(found))


def rule_entries() -> Iterator[EntryPoint]:
    """Yield the rules that other packages register, and then the LibCST commands, each sorted by name."""
    for group in (RULES, COMMANDS):
        yield from sorted(_entries(group), key=lambda entry: entry.name)


def drivers(block: str) -> frozenset[str]:
    """Return the names of the drivers that are installed for *block*."""
    return frozenset(entry.name for entry in _entries(f"capa.{block}"))


def own_requirements() -> list[str]:
    """Return what Capa itself requires, as its installed metadata has it, and the `python` that it runs on.

    The list is empty where Capa is not installed but only found on `sys.path`.
    """
    try:
        found = distribution(CAPA_DISTRIBUTION)
    except PackageNotFoundError:
        return []
    return [*(found.requires or ()), f"python{found.metadata['Requires-Python']}"]


def source_files() -> Iterator[str]:
    """Yield the path of each Python file of this package: a change of one may change the result of a rewrite."""
    for folder, _, names in os.walk(os.path.dirname(__file__)):
        yield from (f"{folder}/{name}" for name in sorted(names) if name.endswith(".py"))


def package_of(entry: EntryPoint) -> str:
    """Return the name and version of the distribution that registers *entry*."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _installed_maps() -> Iterator[str]:
    for entry in sorted(_entries(ADAPTERS), key=lambda entry: entry.name):
        path = os.path.join(_folder(entry), MAP_NAME)
        if os.path.isfile(path):
            yield path


def _entries(group: str) -> EntryPoints:
    found: EntryPoints = _registered().select(group=group)
    return found


@cache
def _registered() -> Any:
    # Looking into every installed distribution takes longer than all else here: once is enough.
    return entry_points()


def _folder(entry: EntryPoint) -> str:
    folder = _location(entry.value)
    if not folder:
        raise ImportMapError(
            f"the adapter `{entry.name}` is registered as the package {entry.value}, which is not installed: "
            f"install or remove the distribution that registers it"
        )
    return folder


def _location(package: str) -> str:
    """Return the folder of a top-level package, or an empty text if there is none."""
    # `find_spec` of a top-level name looks for it and imports nothing.
    spec = importlib.util.find_spec(package)
    return next(iter(spec.submodule_search_locations or ()), "") if spec else ""
