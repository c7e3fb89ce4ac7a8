"""The abilities that drivers declare, known without importing them: their engines' libraries may not be installed.

Those of the drivers here are read from components/abilities.json, which `make docs` writes from their classes; a test
fails when it is behind them. Drivers of other distributions are imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from capa_core.abilities import Abilities, Feature, How, Support
from capa_core.block import Block, blocks
from capa_core.engine import engine_of

FILE = Path(__file__).parent / "components" / "abilities.json"


def abilities_of(point: EntryPoint, features: type[Feature]) -> Abilities | None:
    """Return the abilities of the driver at *point*, of a block that has *features*.

    `None`: it is of another distribution, and a library that it imports is not installed.
    """
    if _is_here(point):
        declared = _read()[point.group][point.name]
        return {feature: _support(declared[feature.label]) for feature in features}
    try:
        found: Abilities = point.load().features
    except ModuleNotFoundError:
        return None
    return found


def is_installed(point: EntryPoint) -> bool:
    """Return whether the libraries that the driver at *point* needs are installed."""
    from importlib.util import find_spec

    engine = engine_of(point.module)
    libraries = (*_libraries_of(point.group), *(engine.libraries if engine else ()))
    return all(find_spec(library) is not None for library in libraries)


def _libraries_of(group: str) -> tuple[str, ...]:
    """Return the libraries that each driver of the block of the entry-point *group* needs."""
    return next((block.libraries for block in blocks().values() if block.group == group), ())


def written() -> str:
    """Return what the file is to hold; every library of every engine must be installed."""
    groups = {
        block.group: _declared(block) for block in sorted(blocks().values(), key=lambda each: each.name)
    }
    return f"{json.dumps(groups, indent=1)}\n"


def _declared(block: Block) -> dict[str, dict[str, str]]:
    points = sorted(entry_points(group=block.group), key=lambda point: point.name)
    return {point.name: _supports(point.load().features) for point in points if _is_here(point)}


def _supports(abilities: Abilities) -> dict[str, str]:
    return {
        feature.label: f"{support.how.name}: {support.note}".removesuffix(": ")
        for feature, support in abilities.items()
    }


def _support(text: str) -> Support:
    how, _, note = text.partition(": ")
    return Support(How[how], note)


def _is_here(point: EntryPoint) -> bool:
    return point.module.startswith("capa_core.")


@cache
def _read() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
