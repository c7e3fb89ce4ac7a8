"""Lookup of the urllib3 pool of an address without building its 30-part key for each request."""

from __future__ import annotations

from typing import Any

from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager

#: A scheme, host and port; how certificates are verified, and whether that names a folder.
PoolAddress = tuple[str, str, int | None, bool | str, bool]

_MOST_PLACES = 256


class Pools:
    """The keys of the pools of one adapter; the pools themselves stay with its pool manager, which drops them."""

    def __init__(self) -> None:
        """Start without pools."""
        self._keys: dict[PoolAddress, tuple[dict[str, Any], Any]] = {}

    def find(self, manager: PoolManager, place: PoolAddress) -> HTTPConnectionPool | None:
        """Return the pool that *manager* has for *place*; `None` if it has none, or its settings have changed."""
        known = self._keys.get(place)
        if known is None or known[0] != manager.connection_pool_kw:
            return None
        return manager.pools.get(known[1])

    def remember(self, manager: PoolManager, place: PoolAddress, attributes: dict[str, Any]) -> None:
        """Remember that *place* has the pool whose key has *attributes*, besides the settings of *manager*."""
        if len(self._keys) >= _MOST_PLACES:
            self._keys.clear()
        given = {name: value for name, value in attributes.items() if value is not None}
        port = 443 if attributes["scheme"] == "https" else 80
        context = {**manager.connection_pool_kw, "port": port, **given}
        key = manager.key_fn_by_scheme[attributes["scheme"]](context)
        self._keys[place] = (dict(manager.connection_pool_kw), key)
