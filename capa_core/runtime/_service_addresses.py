"""The HTTP addresses of services: their names, and their `legacy` addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.address import HttpPlace, http_places
from capa_core.runtime._claims import claim, parsed

if TYPE_CHECKING:
    from capa_core.runtime._settings import Loaded

_PORT = 80
"""The port of `http://<name>`. Under its other ports, and over TLS, a host is what the network has under that name."""


def hosts_of(host: str, port: int = _PORT) -> list[tuple[str, int]]:
    """Return *host*, as prepared addresses spell it, with *port*: in lower case, also as an absolute name."""
    lower = host.lower()
    return [(lower, port), (f"{lower}.", port)]


class ServiceAddresses:
    """The services by host and port, and by path where one has only a part of the host.

    Raises:
        SettingsError: Two services claim the same place, or an address is malformed.
    """

    def __init__(self, loaded: Loaded) -> None:
        claims = _claims(loaded)
        self._routes: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for place in sorted(claims, key=lambda place: len(place.path), reverse=True):
            for host in hosts_of(place.host, place.port):
                self._routes.setdefault(host, []).append((place.path, claims[place]))

    def find(self, host: tuple[str, int], target: str) -> tuple[str, str] | None:
        """Return the service at *host* with the longest path that *target* begins with, and the rest of *target*."""
        for path, service in self._routes.get(host, ()):
            if not path:
                return service, target
            if (rest := _below(path, target)) is not None:
                return service, rest
        return None


def _claims(loaded: Loaded) -> dict[HttpPlace, str]:
    claims: dict[HttpPlace, str] = {}
    for name, table in loaded.tables("invocation").items():
        if name != "default":
            own = HttpPlace(name.lower(), _PORT, "")
            claim(claims, own, block="invocation", name=name, origin=loaded.origin("invocation", name))
        origin = loaded.origin("invocation", name, "legacy")
        for address in table.legacy:
            for place in parsed(http_places, address, origin):
                claim(claims, place, block="invocation", name=name, origin=origin)
    return claims


def _below(path: str, target: str) -> str | None:
    """Return what of *target* follows *path*, by whole segments; `None` if it is elsewhere."""
    if not target.startswith(path) or ".." in target.partition("?")[0].split("/"):  # it leads out of *path*
        return None
    rest = target[len(path) :]
    if rest.startswith("/"):
        return rest
    return f"/{rest}" if rest[:1] in {"", "?"} else None
