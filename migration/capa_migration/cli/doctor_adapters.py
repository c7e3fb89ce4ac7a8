"""The adapters in `capa doctor`: the installed original, the side that serves, and data without an engine."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from capa_migration.cli.doctor_paths import relative_to_here

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pydantic import BaseModel

    from capa_codemods.api import ImportMap
    from capa_core import Runtime
    from capa_core.runtime import Need


def adapters_of(runtime: Runtime, required: Collection[str]) -> list[dict[str, Any]]:
    """Return the installed adapters, each with the installed version of its original and the side that serves it.

    Args:
        required: The adapters that count as used whatever the settings say.
    """
    from capa_codemods.api import import_map_paths, read_import_map

    maps = [*map(read_import_map, import_map_paths())]
    below = {root for one in maps for root in one.dependencies}
    return [
        _adapter(runtime, one, is_required=one.name in required, is_below=not below.isdisjoint(one.roots))
        for one in maps
    ]


def tables_of_adapters() -> dict[str, type[BaseModel]]:
    """Return the models of the tables of those adapters whose originals are installed, by the name of the table."""
    from capa_codemods.api import import_map_paths, read_import_map
    from capa_core.errors import MissingExtraError
    from capa_core.shims.settings import settings_type

    found: dict[str, type[BaseModel]] = {}
    for one in map(read_import_map, import_map_paths()):
        with suppress(MissingExtraError):
            found[one.name] = settings_type(one.package)
    return found


def serves(one: dict[str, Any]) -> bool:
    """Return whether nothing about this row of `adapters_of` is wrong."""
    return one["available"] and not (one["problem"] or one["scattered"] or (one["unserved"] and one["used"]))


def print_adapters(adapters: list[dict[str, Any]]) -> None:
    """Print the table of `adapters_of`, and the problems below it."""
    from capa_migration.rewrite.formats._columns import columns

    rows = [
        [
            one["adapter"],
            one["installed"] or "-",
            one["supported"],
            one["side"] if one["available"] else f"{one['side']}: NOT AVAILABLE",
            relative_to_here(one["origin"]),
        ]
        for one in adapters
    ]
    heads = ["adapter", "original installed", "supported", "side", "chosen by"]
    for line in columns(heads, rows, right=False):
        print(line)
    for one in adapters:
        for problem in _problems(one):
            print(f"\n{relative_to_here(problem)}")


def _problems(one: dict[str, Any]) -> list[str]:
    unserved = one["unserved"]
    problems = [one["problem"], *(each["problem"] for each in one["scattered"])]
    if one["used"]:
        problems += [each["problem"] for each in unserved]
    elif unserved:
        blocks = ", ".join(each["block"] for each in unserved)
        problems.append(
            f"{one['adapter']} has no engine for {blocks}, and no table says that programs use it. Where one does,"
            f" run `capa doctor --require {one['sdk']}`, which fails until all are served."
        )
    return [problem for problem in problems if problem]


def _adapter(runtime: Runtime, one: ImportMap, *, is_required: bool, is_below: bool) -> dict[str, Any]:
    """Return the row of one adapter.

    Args:
        is_below: Whether its original may be installed for another original alone, and the tables of blocks be meant
            for that one: then only a table of its own says that programs use it.
    """
    from capa_core.runtime import Need, is_used, unserved

    table = runtime.loaded.settings.adapters.get(one.name)
    side = str((table or {}).get("side", "capa"))
    installed = _version(one.distributions)
    needs = [Need(line.block, line.name, line.keeps, line.shared) for line in one.blocks]
    serving = needs if side == "capa" and (installed or is_required) else []
    scattered = _scattered(runtime, serving)
    beside = {(each["block"], each["name"]) for each in scattered}
    return {
        "sdk": one.name,
        "adapter": one.package,
        "supported": one.versions,
        "installed": installed,
        "used": is_required or (bool(installed) and is_used(runtime, one.name, [] if is_below else needs)),
        "side": side,
        "available": side in one.sides,
        "origin": runtime.loaded.merged.origins.get(("adapters", one.name, "side"), "default"),
        "scattered": scattered,
        "unserved": [
            {"block": need.block, "name": need.name, "problem": problem}
            for need, problem in unserved(runtime, serving).items()
            if (need.block, need.name) not in beside
        ],
        "problem": _problem(runtime, one.package, is_expected=is_required or bool(installed))
        if is_required or table is not None
        else None,
    }


def _scattered(runtime: Runtime, needs: Sequence[Need]) -> list[dict[str, Any]]:
    """Return the data of an adapter that its machines must share, and do not while its other data is on a server."""
    return [
        {"block": each.need.block, "name": each.need.name, "driver": each.place, "problem": str(each)}
        for each in runtime.scattered(needs)
    ]


def _problem(runtime: Runtime, package: str, *, is_expected: bool) -> str | None:
    """Return the error that the first call of an adapter would raise; wrong settings raise it here."""
    from capa_core.errors import MissingExtraError, UnsupportedError
    from capa_core.shims.settings import check_adapter

    try:
        check_adapter(runtime, package)
    except UnsupportedError as error:
        return str(error)
    except MissingExtraError as error:
        # No program here uses an adapter without its original: the column of installed versions shows it.
        return str(error) if is_expected else None
    return None


def _version(distributions: tuple[str, ...]) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    for name in distributions:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None
