"""The index from legacy addresses to logical names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.address import normalised
from capa_core.block import block_names
from capa_core.runtime._claims import claim, parsed
from capa_core.runtime._service_addresses import ServiceAddresses

if TYPE_CHECKING:
    from capa_core.runtime._settings import Loaded

OWN = "capa://"
"""The prefix of an address that names a logical name directly."""


class AddressIndex:
    """All `legacy` addresses of the settings, by block.

    Raises:
        SettingsError: Two names of one block claim the same address, or an address is malformed.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._names = {name: self._claims(name) for name in block_names()}
        self.services = ServiceAddresses(loaded)

    def _claims(self, block: str) -> dict[str, str]:
        claims: dict[str, str] = {}
        for name, table in self._loaded.tables(block).items():
            place = self._loaded.origin(block, name, "legacy")
            for given in table.legacy:
                claim(claims, parsed(normalised, given, place), block=block, name=name, origin=place)
        return claims

    def logical_name(self, block: str, address: str) -> str | None:
        """Return the name that *address* stands for in *block*; `None` if there is none or *address* is malformed."""
        if address.startswith(OWN):
            return address.removeprefix(OWN).rstrip("/") or None
        try:
            return self._names[block].get(normalised(address))
        except ValueError:
            return None
