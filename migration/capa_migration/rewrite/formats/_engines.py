"""The engines to choose after a rewrite: the data of the SDKs that moved, what serves it now, and the tables for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple

from capa_migration.rewrite.formats._columns import columns

if TYPE_CHECKING:
    from capa_core.runtime import ComponentReport
    from capa_migration.rewrite.plan import Plan

_HEAD = ["in capa.toml", "keeps", "served now by", "engines"]
_NEXT = (
    "Where several machines share them, name an engine on a server for each; `capa doctor` checks the choice."
)


class Choice(NamedTuple):
    """One kind of data of an SDK that moved, and the engines that can keep it.

    Attributes:
        block: The block that keeps it.
        name: The logical name that serves it, unless an address in the code leads to another.
        keeps: The data, for a reader.
        shared: Whether all machines of an application must have the same.
        driver: The driver that serves it now; None if nothing does.
        origin: The place that chooses the driver; None if nothing serves it.
        drivers: The installed drivers of the block.
    """

    sdk: str
    block: str
    name: str
    keeps: str
    shared: bool
    driver: str | None
    origin: str | None
    drivers: tuple[str, ...]


def choices(plan: Plan) -> list[Choice] | str:
    """Return the blocks that the changes of *plan* need; or the error of a capa.toml that cannot be used.

    It reads capa.toml, in the root of the tree or above, and opens no component.
    """
    from capa_codemods.api import import_map_paths, read_import_map

    needed = [
        (one.name, line)
        for one in map(read_import_map, import_map_paths())
        if one.blocks and _moved(plan, one.package)
        for line in one.blocks
    ]
    if not needed:
        return []
    served = _served(plan.root)
    if isinstance(served, str):
        return served
    return [
        Choice(
            sdk,
            *line,
            *_now(served, line.block, line.name),
            tuple(sorted(entry_points(group=f"capa.{line.block}").names)),
        )
        for sdk, line in needed
    ]


def engine_lines(plan: Plan) -> Iterator[str]:
    """Yield the `choices` as a table, and the command that checks them; nothing for none."""
    found = choices(plan)
    if isinstance(found, str):
        yield f"engines: {found}"
    elif found:
        rows = [
            [
                f"[{one.block}.{one.name}]",
                f"{one.sdk}: {one.keeps}",
                f"{one.driver} ({one.origin})" if one.driver else "nothing",
                ", ".join(one.drivers),
            ]
            for one in found
        ]
        yield from ["", *columns(_HEAD, rows, right=False), _NEXT]


def _moved(plan: Plan, package: str) -> bool:
    """Return whether a change of *plan* names *package*."""
    return any(package in change.after for outcome in plan.of("changed") for change in outcome.changes)


def _served(root: str) -> Mapping[tuple[str, str], ComponentReport] | str:
    """Return the components by block and name, or the error of a capa.toml that cannot be used."""
    from capa_core import CapaError, Runtime

    try:
        with Runtime(start=root) as runtime:
            return {(row.block, row.name): row for row in runtime.report()}
    except CapaError as error:
        return str(error)


def _now(
    served: Mapping[tuple[str, str], ComponentReport], block: str, name: str
) -> tuple[str | None, str | None]:
    row = served.get((block, name)) or served.get((block, "default"))
    return (row.driver, row.origin) if row else (None, None)
