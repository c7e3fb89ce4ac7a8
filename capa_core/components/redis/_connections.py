"""The pool of connections, without what redis-py's own does around each command."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import redis


class Connections(redis.ConnectionPool):
    """Hands out idle connections without locks and counters: those cost as much time as a short command.

    Safe for many threads, since `deque` is. Whatever it ever made counts as in use for the original, which so
    closes all of them in the end.
    """

    def reset(self) -> None:
        """Start without connections, as the original does when made, and in a forked child."""
        super().reset()
        self._idle: deque[Any] = deque()

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection that nobody else uses; it may have to connect first."""
        if self.pid != os.getpid():
            self._checkpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            with self._lock:  # for `disconnect`, which goes through all of them
                connection = self.make_connection()  # it connects with the first command
                self._in_use_connections.add(connection)
            return connection
        if _is_spoilt(connection):
            connection.disconnect()  # it connects anew with the next command
        return connection

    def release(self, connection: Any) -> None:
        """Take back a connection from which every answer was read, or which was disconnected."""
        if connection.pid == os.getpid():
            self._idle.append(connection)


def _is_spoilt(connection: Any) -> bool:
    """Return whether the server has closed the connection, or has sent what nobody asked for."""
    try:
        return bool(connection._sock is not None and connection.can_read())
    except (OSError, redis.RedisError):
        return True
