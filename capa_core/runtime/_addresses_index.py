"""Looks up which logical name a legacy address stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.errors import SettingsError
from capa_core.runtime._addresses import host_and_port, normalised
from capa_core.runtime._blocks import BLOCKS

if TYPE_CHECKING:
    from capa_core.runtime._settings import Loaded


class AddressIndex:
    """All `legacy` addresses of the settings, by block.

    Raises:
        SettingsError: Two names of one block claim the same address.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._names = {block: self._claims(block) for block in BLOCKS}
        self._services = {name.lower(): name for name in loaded.settings.invocation if name != "default"}
        self._hosts = {
            host_and_port(address): name
            for name, table in loaded.settings.invocation.items()
            for address in table.legacy
        }

    def _claims(self, block: str) -> dict[str, str]:
        claims: dict[str, str] = {}
        for name, table in getattr(self._loaded.settings, block).items():
            for address in map(normalised, table.legacy):
                if claims.setdefault(address, name) != name:
                    place = self._loaded.origin(block, name, "legacy")
                    raise SettingsError(
                        f"{place}: {address} already stands for {block} {claims[address]!r}. Remove one."
                    )
        return claims

    def logical_name(self, block: str, address: str) -> str | None:
        """Return the name that *address* stands for in *block*, or `None`."""
        return self._names[block].get(normalised(address))

    def service_for(self, host: str, port: int | None) -> str | None:
        """Return the service that *host* and *port* mean, or `None`."""
        host = host.lower()
        return self._services.get(host) or self._hosts.get((host, port)) or self._hosts.get((host, None))
