"""The declaration of a building block, and the set of all blocks: the folders in `capa_core/blocks`.

The runtime, its settings, `capa_core.aio`, the pages of docs/reference and the tests read the declarations; there is
no list of blocks to maintain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from capa_core.abilities import Feature
from capa_core.call.portable import Portable


class Closing(IntEnum):
    """The order in which `Runtime.close` closes the components of blocks; lower ranks come first."""

    INTAKE = 0
    """They bring work into the process, which must end before the components that the work uses."""
    STORE = 1
    """Handlers use them until the last one has ended."""
    SETTINGS = 2
    """Other components read their settings or secrets from them."""
    REPORTS = 3
    """They report on all others, to their end."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: `BLOCK` in `capa_core/blocks/<name>/__init__.py`.

    Attributes:
        name: The folder, the table in capa.toml, the accessor of `Runtime` and of `capa_core.aio`.
        portable: The class that applications use.
        driver: The contract of its drivers, a subclass of `capa_core.driver.Driver`.
        features: Its abilities.
        embedded: The driver that serves it without configuration.
        server: The driver that messages offer to programs on several machines whose settings name no server; empty if
            each machine may have what the embedded one keeps, or no driver has a server.
        server_settings: Settings that *server* cannot do without, each with a value to show.
        closing: The rank of its components at closing.
        face: The names that `capa_core` itself exports.
        one_per: The kind of resource that a name stands for, such as a service, if each name has a component of its own
            even where `default` holds the settings; empty if names without a table share the component `default`.
        keeps_files: Whether the portable type keeps files, in the folder given as `folder`.
        keeps_data: Whether its components keep data for the program, so that a table which names a server of it shows
            that the program is past its first machine.
        in_client: Whether the flat client `Capa` has its calls, which Dapr and Layotto name alike.
        libraries: Import names of the libraries that each of its drivers needs, besides those of the driver's engine.
        extra: The extra of Capa that installs them; empty without libraries.
    """

    name: str
    portable: type[Portable[Any]]
    driver: type
    features: type[Feature]
    embedded: str
    closing: Closing
    face: tuple[str, ...]
    server: str = ""
    server_settings: tuple[tuple[str, str], ...] = ()
    one_per: str = ""
    keeps_files: bool = False
    keeps_data: bool = True
    in_client: bool = True
    libraries: tuple[str, ...] = ()
    extra: str = ""

    @property
    def group(self) -> str:
        """The entry-point group of its drivers."""
        return f"capa.{self.name}"


@cache
def block_names() -> frozenset[str]:
    """Return the names of all blocks, without importing them."""
    return frozenset(
        each.name for each in iter_modules(import_module("capa_core.blocks").__path__) if each.ispkg
    )


@cache
def declaration(name: str) -> Block:
    """Import and return the declaration of the block *name*, one of `block_names`."""
    declared: Block = import_module(f"capa_core.blocks.{name}").BLOCK
    return declared


@cache
def blocks() -> Mapping[str, Block]:
    """Import and return all declarations by name, in the order in which the runtime closes their components."""
    ordered = sorted(map(declaration, block_names()), key=lambda each: (each.closing, each.name))
    return MappingProxyType({each.name: each for each in ordered})
