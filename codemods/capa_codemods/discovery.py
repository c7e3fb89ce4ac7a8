"""Find the import maps of the installed adapters and the rules of others, without importing any of them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from capa_codemods.errors import ImportMapError

ADAPTERS = "capa.adapters"
RULES = "capa.rules"
COMMANDS = "capa.commands"
MAP_NAME = "import_map.toml"


def import_map_paths() -> list[str]:
    """Return the path of each installed adapter's import map, sorted by adapter.

    An adapter without a map is one that nothing is rewritten to; it is passed over.

    Raises:
        ImportMapError: An adapter is registered whose package cannot be found.
    """
    found = []
    for entry in sorted(_entries(ADAPTERS), key=lambda entry: entry.name):
        path = os.path.join(_folder(entry), MAP_NAME)
        if os.path.isfile(path) and path not in found:
            found.append(path)
    return found


def rule_entries() -> Iterator[EntryPoint]:
    """Yield the rules that other packages register, and then the LibCST commands, each sorted by name."""
    for group in (RULES, COMMANDS):
        yield from sorted(_entries(group), key=lambda entry: entry.name)


def drivers(block: str) -> frozenset[str]:
    """Return the names of the drivers that are installed for *block*."""
    return frozenset(entry.name for entry in _entries(f"capa.{block}"))


def source_files() -> Iterator[str]:
    """Yield the path of each Python file of this package: a change of one may change what a rewrite does."""
    for folder, _, names in os.walk(os.path.dirname(__file__)):
        yield from (f"{folder}/{name}" for name in sorted(names) if name.endswith(".py"))


def package_of(entry: EntryPoint) -> str:
    """Return the name and version of the distribution that registers *entry*."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _entries(group: str) -> EntryPoints:
    found: EntryPoints = _registered().select(group=group)
    return found


@cache
def _registered() -> Any:
    # Looking into every installed distribution takes longer than all else here: once is enough.
    return entry_points()


def _folder(entry: EntryPoint) -> str:
    # `find_spec` of a top-level name looks for it and imports nothing.
    spec = importlib.util.find_spec(entry.value)
    if spec is None or not spec.submodule_search_locations:
        raise ImportMapError(
            f"the adapter `{entry.name}` is registered as the package {entry.value}, which is not installed: "
            f"install or remove the distribution that registers it"
        )
    return next(iter(spec.submodule_search_locations))
