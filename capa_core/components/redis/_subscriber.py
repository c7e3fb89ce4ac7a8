"""Connections for waiting on channels: each thread reads its own, so that no thread has to pass messages on."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import redis

from capa_core.components.redis._connect import connect
from capa_core.components.redis._deadline import Deadline
from capa_core.components.redis._settings import RedisSettings


class Listener:
    """A connection that listens on one channel at a time. Used by one thread at a time."""

    def __init__(self, connection: Any) -> None:  # redis-py's types are incomplete
        self._connection = connection
        self._deadline: Deadline = connection.deadline
        self._timeout_s = 0.0

    def begin(self, channel: str, timeout_s: float) -> None:
        """Receive the messages published on *channel* from now on.

        Raises:
            redis.ConnectionError: There is no connection.
            redis.TimeoutError: The server did not confirm in time.
        """
        name = channel.encode()
        self._timeout_s = timeout_s
        self._deadline.begin(timeout_s)
        self._connection.send_command("SUBSCRIBE", name, check_health=False)
        confirmed = False
        while not confirmed:  # earlier messages are those of the previous channel
            confirmed = self._read()[:2] == [b"subscribe", name]

    def next(self, timeout_s: float) -> bytes | None:
        """Return the next message; `None` if none came within *timeout_s*.

        Raises:
            redis.ConnectionError: The connection broke, so messages may have been missed.
            redis.TimeoutError: A message began to come, and did not come to its end in time.
        """
        self._deadline.clear()
        if not self._connection.can_read(timeout=timeout_s):
            return None
        self._deadline.begin(self._timeout_s)
        return cast("bytes", self._read()[2])

    def end(self) -> None:
        """Stop receiving. The next `begin` reads the server's answer.

        Raises:
            redis.ConnectionError: The connection broke.
        """
        self._deadline.begin(self._timeout_s)
        self._connection.send_command("UNSUBSCRIBE", check_health=False)

    def is_open(self) -> bool:
        """Return whether an idle connection is still open."""
        self._deadline.begin(self._timeout_s)
        try:
            while self._connection.can_read():
                self._read()
        except redis.RedisError:
            return False
        return True

    def interrupt(self) -> None:
        """Break the connection that another thread uses; that thread then closes it."""
        with suppress(OSError, AttributeError):
            self._connection._sock.shutdown(socket.SHUT_RDWR)

    def disconnect(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _read(self) -> list[Any]:
        return cast("list[Any]", self._connection.read_response(disconnect_on_error=False))


class Subscriber:
    """A pool of listeners, one per concurrent thread. Safe for many threads, as `deque` and `set` are."""

    def __init__(self, settings: RedisSettings) -> None:
        self._client = connect(settings)
        self._idle: deque[Listener] = deque()
        self._busy: set[Listener] = set()
        self._closed = False

    @contextmanager
    def listen(self, channel: str, timeout_s: float) -> Iterator[Listener]:
        """Receive all messages published on *channel* during the block.

        Args:
            timeout_s: Seconds within which the server must confirm.

        Raises:
            redis.ConnectionError: There is no connection.
            redis.TimeoutError: The server did not confirm in time.
        """
        listener = self._take(channel)
        self._busy.add(listener)
        try:
            listener.begin(channel, timeout_s)
            yield listener
        except BaseException:
            listener.disconnect()
            raise
        else:
            self._give_back(listener)
        finally:
            self._busy.discard(listener)

    def close(self) -> None:
        """Close all connections; active listeners get a connection error. A second `close` does nothing."""
        self._closed = True
        for listener in tuple(self._busy):
            listener.interrupt()
        self._disconnect_idle()

    def forget(self) -> None:
        """Reset in a forked child, leaving the connections to the parent."""
        self._idle, self._busy = deque(), set()
        self._client.forget()

    def _take(self, channel: str) -> Listener:
        while self._idle:
            with suppress(IndexError):  # another thread took it
                listener = self._idle.pop()
                if listener.is_open():
                    return listener
                listener.disconnect()
        return Listener(self._client.listening_pool(channel).make_connection())

    def _give_back(self, listener: Listener) -> None:
        try:
            listener.end()
        except redis.RedisError:
            listener.disconnect()
            return
        self._idle.append(listener)
        if self._closed:
            self._disconnect_idle()

    def _disconnect_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().disconnect()
