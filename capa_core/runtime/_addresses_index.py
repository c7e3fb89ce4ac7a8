"""The index from legacy addresses to logical names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.address import host_and_port, normalised
from capa_core.block import block_names
from capa_core.errors import SettingsError
from capa_core.secret import without_credentials

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
        self._services = {name.lower(): name for name in loaded.tables("invocation") if name != "default"}
        self._hosts = {
            host_and_port(address): name
            for name, table in loaded.tables("invocation").items()
            for address in table.legacy
        }

    def _claims(self, block: str) -> dict[str, str]:
        claims: dict[str, str] = {}
        for name, table in self._loaded.tables(block).items():
            place = self._loaded.origin(block, name, "legacy")
            for given in table.legacy:
                address = _normalised(given, place)
                if claims.setdefault(address, name) != name:
                    raise SettingsError(
                        f"{place}: {address} already stands for {block} {claims[address]!r}. Remove one."
                    )
        return claims

    def logical_name(self, block: str, address: str) -> str | None:
        """Return the name that *address* stands for in *block*; `None` if there is none or *address* is malformed."""
        if address.startswith(OWN):
            return address.removeprefix(OWN).rstrip("/") or None
        try:
            return self._names[block].get(normalised(address))
        except ValueError:
            return None

    def service_for(self, host: str, port: int | None) -> str | None:
        """Return the service that *host* and *port* mean, or `None`."""
        host = host.lower()
        return self._services.get(host) or self._hosts.get((host, port)) or self._hosts.get((host, None))


def _normalised(address: str, place: str) -> str:
    try:
        return normalised(address)
    except ValueError:
        raise SettingsError(
            f"{place}: {without_credentials(address)!r} is not an address. Write scheme://host:port, and escape special"
            " characters in a password as %XX."
        ) from None
