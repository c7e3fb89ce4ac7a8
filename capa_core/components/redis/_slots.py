"""The nodes of a Redis Cluster, and the node of each slot, as the cluster last said."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import redis
from redis.crc import key_slot
from redis.typing import EncodableT

from capa_core.components.redis._server import ServerClient
from capa_core.components.redis._settings import RedisSettings
from capa_core.errors import SettingsError

_Address = tuple[str, int]
_NO_CLUSTER = "cluster support disabled"


class Slots:
    """Nodes by slot. Safe for many threads; asks the cluster at the first use, and again when something was wrong."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._seed = ServerClient(settings)
        self._known: dict[_Address, ServerClient] = {}
        self._by_slot: dict[int, ServerClient] = {}
        self._lock = threading.Lock()
        self._is_current = False

    def node(self, key: EncodableT) -> ServerClient:
        """Return the node that has *key*.

        Raises:
            SettingsError: The server is no node of a cluster.
            redis.ConnectionError: No node answers, or none has its slot.
            redis.ResponseError: The server refuses the credentials.
        """
        if not self._is_current:
            self._look()
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        try:
            return self._by_slot[slot]
        except KeyError:
            self.doubt()
            raise redis.ConnectionError(f"no node of the cluster has slot {slot}") from None

    def nodes(self) -> Sequence[ServerClient]:
        """Return the nodes that have slots; raises as `node` does."""
        if not self._is_current:
            self._look()
        return list(dict.fromkeys(self._by_slot.values()))

    def move(self, slot: int, host: str, port: int, told_by: ServerClient) -> ServerClient:
        """Take note that *slot* is at another node, and return that. Others may have moved too."""
        node = self._by_slot[slot] = self.at(host, port, told_by)
        self.doubt()
        return node

    def at(self, host: str, port: int, told_by: ServerClient) -> ServerClient:
        """Return the node at an address; without a host, it is at that of the node that told of it."""
        address = (host or told_by.host, int(port))
        with self._lock:
            return self._node(address)

    def doubt(self) -> None:
        """Have the cluster asked again before the next call."""
        self._is_current = False

    def close(self) -> None:
        """Close all connections."""
        for node in (self._seed, *self._known.values()):
            node.close()

    def _look(self) -> None:
        """Ask the nodes in turn, the one of the settings last, as it may have left the cluster."""
        with self._lock:
            if self._is_current:
                return  # another thread was first
            asked = [*dict.fromkeys(self._by_slot.values()), self._seed]
            for node in asked:
                try:
                    ranges = node.call("CLUSTER", "SLOTS", limit_s=self._settings.timeout_s / len(asked))
                except redis.ResponseError as error:
                    if _NO_CLUSTER not in str(error):
                        raise
                    raise SettingsError(
                        f"Redis at {node.address()} is no node of a cluster: remove `cluster = true`"
                    ) from error
                except (redis.ConnectionError, redis.TimeoutError):
                    if node is self._seed:
                        raise
                else:
                    self._by_slot = self._read(ranges, node)
                    self._is_current = True
                    return

    def _read(self, ranges: Sequence[Any], told_by: ServerClient) -> dict[int, ServerClient]:
        found = {}
        for first, last, (host, port, *_), *_ in ranges:
            node = self._node(((host or b"").decode() or told_by.host, int(port)))
            found.update(dict.fromkeys(range(first, last + 1), node))
        return found

    def _node(self, address: _Address) -> ServerClient:
        if address not in self._known:
            host, port = address
            self._known[address] = ServerClient(self._settings, host=host, port=port)
        return self._known[address]
