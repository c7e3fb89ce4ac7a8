"""A connection pool without the overhead of redis-py's own pool."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import redis


class Connections(redis.ConnectionPool):
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
        """Close all connections, and those of calls that are still under way when these end."""
        self._is_closed = True
        self.disconnect()

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
        if self._is_closed:
            connection.disconnect()
        elif connection.pid == os.getpid():
            self._idle.append(connection)


def _is_unusable(connection: Any) -> bool:
    """Return whether the server has closed the connection or sent unrequested data."""
    try:
        return bool(connection._sock is not None and connection.can_read())
    except (OSError, redis.RedisError):
        return True
