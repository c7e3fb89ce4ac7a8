"""The blocks that the runtime serves: the one list of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        name: The table in capa.toml, the entry-point group `capa.<name>` and the folder in `capa_core/blocks`.
        portable: The class that users hold.
        embedded: The driver that serves it when nothing is configured.
        keeps_files: The portable type itself keeps files in the runtime's folder.
    """

    name: str
    portable: str
    embedded: str
    keeps_files: bool = False

    @property
    def group(self) -> str:
        """The entry-point group of its drivers."""
        return f"capa.{self.name}"

    def portable_type(self) -> Any:
        """Import and return the portable type."""
        return getattr(import_module(f"capa_core.blocks.{self.name}"), self.portable)


# In the order of closing: who takes work in comes first, what the others lean on comes last.
BLOCKS = {
    block.name: block
    for block in (
        Block("invocation", "Invocation", "http"),
        Block("pubsub", "PubSub", "sqlite"),
        Block("lock", "Locks", "sqlite"),
        Block("state", "State", "sqlite"),
        Block("configuration", "Configuration", "file", keeps_files=True),
        Block("secrets", "Secrets", "file"),
    )
}
