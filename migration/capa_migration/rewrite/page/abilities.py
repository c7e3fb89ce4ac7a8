"""Abilities of the blocks that an application needs, by the shapes it uses, and the engines that have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from capa_codemods.api import ImportMap
from capa_core.abilities import Abilities, Feature, meanings
from capa_core.block import declaration
from capa_core.declared import abilities_of, is_installed
from capa_core.installing import extra_command
from capa_migration.rewrite.scan.origins import plain
from capa_migration.rewrite.scan.sites import Survey

Needs = dict[str, dict[str, Counter[str]]]
"""Block → ability → the names that need it, each with its count."""


class Engine(NamedTuple):
    """One engine of a block.

    Attributes:
        features: Feature → its support; `None` if its driver, of another distribution, cannot be imported.
        installed: Whether its library is.
    """

    name: str
    features: Abilities | None
    installed: bool


def abilities(survey: Survey, maps: Iterable[ImportMap]) -> list[dict[str, Any]]:
    """Return each block that *survey* needs, with its engines and the support of each needed ability."""
    return [_block(block, needed) for block, needed in sorted(needs(survey, maps).items())]


def needs(survey: Survey, maps: Iterable[ImportMap]) -> Needs:
    """Return the abilities that the call sites of *survey*, moved or not, need by `[needs]` of *maps*."""
    shapes = Counter(
        (plain(site.name), site.arguments)
        for site in (*survey.sites, *survey.moved)
        if site.kind in {"call", "use"}
    )
    found: Needs = {}
    for one in maps:
        for ability, names in one.needs.items():
            block, _, label = ability.partition(".")
            asking = {name: sum(shapes[shape] for shape in shapes if _needs(name, *shape)) for name in names}
            counted = Counter({name: number for name, number in asking.items() if number})
            if counted:
                found.setdefault(block, {}).setdefault(label, Counter()).update(counted)
    return found


def _needs(wanted: str, name: str, arguments: tuple[str, ...]) -> bool:
    """Return whether the shape *name* with *arguments* matches *wanted* of `[needs]`."""
    holder, _, argument = wanted.rstrip(")").partition("(")
    return f"{name}.".startswith(f"{holder}.") and (not argument or argument in arguments)


def _block(block: str, needed: Mapping[str, Counter[str]]) -> dict[str, Any]:
    engines = list(_engines(block))
    features = declaration(block).features
    known = {feature.label: feature for feature in features}
    meant = meanings(features)
    return {
        "block": block,
        "engines": [{"name": engine.name, "installed": engine.installed} for engine in engines],
        "rows": [
            {
                "label": label,
                "level": feature.level.sign,
                "meaning": meant.get(label, ""),
                "asking": counted.most_common(),
                "cells": [_cell(engine, feature) for engine in engines],
            }
            for label, counted in needed.items()
            if (feature := known.get(label))
        ],
    }


def _cell(engine: Engine, feature: Feature) -> dict[str, str]:
    if engine.features is None:
        return {"how": "unknown", "note": f"not installed: {extra_command(engine.name)}"}
    support = engine.features[feature]
    return {"how": support.how.word, "note": support.note}


def _engines(block: str) -> Iterator[Engine]:
    for point in sorted(entry_points(group=f"capa.{block}"), key=lambda point: point.name):
        yield Engine(point.name, abilities_of(point, declaration(block).features), is_installed(point))
