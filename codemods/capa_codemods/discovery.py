"""Find the import maps of the installed adapters and the rules of others, without importing an adapter."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from capa_codemods.errors import ImportMapError

ADAPTERS = "capa.adapters"
RULES = "capa.rules"
MAP_NAME = "import_map.toml"


def map_files() -> list[str]:
    """Return the path of each installed adapter's import map, sorted by adapter.

    An adapter without a map is one that nothing is rewritten to; it is passed over.

    Raises:
        ImportMapError: An adapter is registered whose package cannot be found.
    """
    found = []
    for entry in sorted(entry_points(group=ADAPTERS), key=lambda entry: entry.name):
        path = os.path.join(_folder(entry), MAP_NAME)
        if os.path.isfile(path) and path not in found:
            found.append(path)
    return found


def rule_entries() -> Iterator[EntryPoint]:
    """Yield the rules that other packages register, sorted by name."""
    yield from sorted(entry_points(group=RULES), key=lambda entry: entry.name)


def _folder(entry: EntryPoint) -> str:
    # `find_spec` of a top-level name looks for it and imports nothing.
    spec = importlib.util.find_spec(entry.value)
    if spec is None or not spec.submodule_search_locations:
        raise ImportMapError(
            f"the adapter `{entry.name}` is registered as the package {entry.value}, which is not installed: "
            f"install or remove the distribution that registers it"
        )
    return next(iter(spec.submodule_search_locations))
