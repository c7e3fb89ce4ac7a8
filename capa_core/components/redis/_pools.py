"""Connection pools without the overhead of redis-py's own pool: of one server, or of a service behind Sentinels."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from capa_core.components.redis._deadline import bounded
from capa_core.components.redis._settings import RedisSettings

_NO_LIMIT = 2**31
"""redis-py's default is 100, and each waiting consumer has a connection."""


class Pool(redis.ConnectionPool):
    """A pool without locks and counters, which cost as much time as a short command.

    Safe for many threads, since `deque` is. The original regards every connection as in use, so its `disconnect`
    closes all of them.
    """

    def reset(self) -> None:
        """Start without connections; the original calls it at creation and in a forked child."""
        super().reset()
        self._idle: deque[Any] = deque()
        self._is_closed = False

    def close(self) -> None:
        """Close all connections. Calls that are under way fail, and close their own: redis-py is not safe for that."""
        self._is_closed = True
        self._close_idle()
        with self._lock:
            under_way = list(self._in_use_connections)
        for connection in under_way:
            if (sock := connection._sock) is not None:
                sock.hang_up()

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection for exclusive use; it may have to connect first."""
        if self.pid != os.getpid():
            self._checkpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            with self._lock:  # `disconnect` iterates over all of them
                connection = self.make_connection()  # it connects at the first command
                self._in_use_connections.add(connection)
            return connection
        if _is_unusable(connection):
            connection.disconnect()  # it reconnects at the next command
        return connection

    def release(self, connection: Any) -> None:
        """Return a connection to the pool, after all its answers were read or it was disconnected."""
        if connection.pid == os.getpid():
            self._idle.append(connection)
        if self._is_closed:  # maybe since a moment ago
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().disconnect()


class _MasterConnection(SentinelManagedConnection):
    """A connection that asks the Sentinels each time it connects, also when a command finds it closed."""

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        if self._sock is None:
            self.connect()  # type: ignore[no-untyped-call]
        super().send_packed_command(*args, **kwargs)  # type: ignore[no-untyped-call]


class _MasterSSLConnection(_MasterConnection, SentinelManagedSSLConnection):
    """The same with TLS."""


class SentinelPool(Pool, SentinelConnectionPool):
    """A pool of connections to the server that the Sentinels call the master when each connects."""

    def close(self) -> None:
        """See `Pool.close`; also those to the Sentinels."""
        super().close()
        for sentinel in self.sentinel_manager.sentinels:
            sentinel.close()


def pool_of(settings: RedisSettings, **place: Any) -> Pool:
    """Return a pool that connects at the first use, to the server of the settings, or to the one at *place*.

    It never retries, since the portable type does, and returns bytes. It uses RESP2, which parses faster and which
    every server supports.

    Args:
        place: `host` and `port`.
    """
    options = {
        "max_connections": _NO_LIMIT,
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.timeout_s,
        "socket_keepalive": True,
        "retry": _never(),
        "protocol": 2,
        "decode_responses": False,
        **settings.options(),
        **place,
    }
    kind = options.pop("connection_class", redis.Connection)
    if not settings.sentinels:
        return Pool(connection_class=bounded(kind), **options)
    managed = _MasterSSLConnection if issubclass(kind, SSLConnection) else _MasterConnection
    options = {name: value for name, value in options.items() if name not in ("host", "port")}
    kind = bounded(managed)
    return SentinelPool(settings.service(), _sentinels(settings), connection_class=kind, **options)  # type: ignore[no-untyped-call]


def _sentinels(settings: RedisSettings) -> Sentinel:
    """Return the Sentinels. If none answers, that takes no longer than one command may."""
    addresses = settings.sentinel_addresses()
    password = settings.sentinel_password
    limit_s = settings.timeout_s / len(addresses)
    options = {
        "password": password.reveal() if password else None,
        "socket_timeout": limit_s,
        "socket_connect_timeout": limit_s,
        "retry": _never(),
        "protocol": 2,
    }
    return Sentinel(addresses, sentinel_kwargs=options)  # type: ignore[no-untyped-call]


def _never() -> Retry:
    return Retry(NoBackoff(), 0)


def _is_unusable(connection: Any) -> bool:
    """Return whether the server has closed the connection or sent unrequested data."""
    try:
        return bool(connection._sock is not None and connection.can_read())
    except (OSError, redis.RedisError):
        return True
