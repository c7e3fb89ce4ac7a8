"""Data of adapters that has no engine, or that each machine has for itself while other data is on a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from capa_core.block import declaration
from capa_core.errors import UnknownNameError
from capa_core.runtime._fallback import lines_to_add
from capa_core.runtime._layers import read_profiles
from capa_core.runtime._registry import reach_of

if TYPE_CHECKING:
    from capa_core.runtime._runtime import Runtime


class Need(NamedTuple):
    """One kind of data of an adapter.

    Attributes:
        block: The block that keeps it.
        name: The logical name that serves it, unless the address in the code is a `legacy` one of another.
        keeps: The data, for messages.
        shared: Whether all machines of an application must have the same.
    """

    block: str
    name: str
    keeps: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Scattered:
    """A need that not all machines share.

    Attributes:
        place: The component that serves it, such as `sqlite`; empty if nothing does.
        beside: The need that is on a server.
        lines: The lines of capa.toml that put it there as well.
    """

    need: Need
    place: str
    beside: Need
    lines: str

    def __str__(self) -> str:
        """Return two sentences and the lines to add."""
        place = f"is {self.place} of each machine" if self.place else "has no engine"
        return (
            f"{self.need.block} {self.need.name!r} {place},"
            f" while {self.beside.keeps} ({self.beside.block}) are on a server."
            f" All machines must share the {self.need.keeps}. {self.lines}"
        )


def scattered(runtime: Runtime, needs: Sequence[Need]) -> list[Scattered]:
    """Return those of *needs* that are on one machine, or nowhere, while another is on a server."""
    shared = [need for need in needs if need.shared]
    places = {need: _places(runtime, need) for need in shared}
    beside = next((need for need in shared if _reaches(need, places[need])), None)
    if beside is None:
        return []
    return [
        Scattered(
            need,
            ", ".join(places[need]),
            beside,
            lines_to_add(runtime.loaded, need.block, _name(runtime, need)),
        )
        for need in shared
        if not _reaches(need, places[need])
    ]


def unserved(runtime: Runtime, needs: Sequence[Need]) -> dict[Need, str]:
    """Return those of *needs* that no component serves, each with the error that its first use raises."""
    return {
        need: str(error)
        for need in needs
        if not _places(runtime, need) and (error := _refusal(runtime, need))
    }


def is_used(runtime: Runtime, adapter: str, needs: Sequence[Need]) -> bool:
    """Return whether the settings or any profile have a table of *adapter*, or one that serves any of *needs*."""
    file = runtime.loaded.file
    trees = [runtime.loaded.merged.tree, *(read_profiles(file).values() if file else ())]
    return any(_names(tree, adapter, needs) for tree in trees)


def _names(tree: Mapping[str, Any], adapter: str, needs: Sequence[Need]) -> bool:
    """Return whether *tree*, which may be of a profile that nothing has checked, has one of these tables."""
    return adapter in _tables(tree, "adapters") or any(
        name in {need.name, "default"} or (isinstance(table, Mapping) and "legacy" in table)
        for need in needs
        for name, table in _tables(tree, need.block).items()
    )


def _tables(tree: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = tree.get(section, {})
    return found if isinstance(found, Mapping) else {}


def _refusal(runtime: Runtime, need: Need) -> UnknownNameError | None:
    try:
        runtime.loaded.table(need.block, need.name)
    except UnknownNameError as error:
        return error
    return None


def _places(runtime: Runtime, need: Need) -> list[str]:
    """Return the drivers that may serve *need*: that of its name, and those of addresses that code may have."""
    embedded, tables = declaration(need.block).embedded, runtime.loaded.tables(need.block)
    found = {table.driver or embedded for table in tables.values() if table.legacy}
    try:
        own = runtime.loaded.table(need.block, need.name)
    except UnknownNameError:
        return sorted(found)
    return sorted(found | {(own[1].driver if own else None) or embedded})


def _name(runtime: Runtime, need: Need) -> str:
    """Return the name of the table to add or change: of `default`, if no other is there, since it serves all."""
    tables = runtime.loaded.tables(need.block)
    return need.name if need.name in tables or tables.keys() - {"default"} else "default"


def _reaches(need: Need, drivers: Sequence[str]) -> bool:
    return any(reach_of(declaration(need.block), driver) == "network" for driver in drivers)
