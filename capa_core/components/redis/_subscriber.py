"""One connection for all who wait for a channel in this process, and the thread that reads it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, cast

import redis

from capa_core.components.redis._client import RedisSettings, connect, forget

_IDLE_S = 3600.0


class Listener:
    """Receives what is published on one channel. Used by one thread."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[bytes | None] = SimpleQueue()

    def next(self, timeout_s: float) -> bytes | None:
        """Return the next message, or `None` if none came in *timeout_s*.

        Raises:
            redis.ConnectionError: The connection broke, so messages may have been missed.
        """
        try:
            message = self._messages.get(timeout=timeout_s)
        except Empty:
            return None
        if message is None:
            raise redis.ConnectionError("the connection that listens for changes broke")
        return message

    def put(self, message: bytes | None) -> None:
        """Hand over a message; `None`: the connection broke."""
        self._messages.put(message)


class Subscriber:
    """Listens on any number of channels over one connection, opened by the first `listen` and kept.

    Safe for many threads. When the connection breaks, those who listen are told, and the next `listen` opens another.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._timeout_s = settings.timeout_s
        self._client = connect(settings)
        self._lock = threading.Lock()
        self._link: _Link | None = None

    @contextmanager
    def listen(self, channel: str) -> Iterator[Listener]:
        """Receive all that is published on *channel* from the beginning of the block on.

        Raises:
            redis.ConnectionError: There is no connection.
            redis.TimeoutError: The server did not confirm in time.
        """
        name, listener = channel.encode(), Listener()
        with self._lock:
            if self._link is None or self._link.broken:
                self._link = _Link(self._client)
            link = self._link
        confirmed = link.add(name, listener)
        try:
            if not confirmed.wait(self._timeout_s):
                raise redis.TimeoutError(f"no answer to SUBSCRIBE within {self._timeout_s:g} s")
            yield listener
        finally:
            link.drop(name, listener)

    def close(self) -> None:
        """End the connection; those who listen are told that it broke. A second `close` does nothing."""
        with self._lock:
            if self._link is not None:
                self._link.shut()
                self._link = None
        self._client.close()

    def forget(self) -> None:
        """In a forked child: leave the connection to the parent and start without one."""
        self._lock = threading.Lock()
        self._link = None
        forget(self._client, self._settings)


class _Channel:
    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.confirmed = threading.Event()


class _Link:
    """One connection while it lasts."""

    def __init__(self, client: redis.Redis) -> None:
        self._connection = cast("Any", client.connection_pool.make_connection())  # its types are incomplete
        self._connection.connect()
        self._channels: dict[bytes, _Channel] = {}
        self._lock = threading.Lock()
        self.broken = False
        threading.Thread(target=self._read, name="capa-redis-subscriber", daemon=True).start()

    def add(self, name: bytes, listener: Listener) -> threading.Event:
        """Let *listener* receive from channel *name*; return the event of the server's confirmation."""
        with self._lock:
            if self.broken:
                raise redis.ConnectionError("the connection that listens for changes broke")
            channel = self._channels.get(name)
            if channel is None:
                self._send("SUBSCRIBE", name)
                channel = self._channels[name] = _Channel()
            channel.listeners.add(listener)
            return channel.confirmed

    def drop(self, name: bytes, listener: Listener) -> None:
        """End what `add` began."""
        with self._lock:
            channel = self._channels.get(name)
            if channel is None:
                return
            channel.listeners.discard(listener)
            if not channel.listeners:
                del self._channels[name]
                with suppress(redis.RedisError):  # those who still listen are told
                    self._send("UNSUBSCRIBE", name)

    def shut(self) -> None:
        """Break the connection, so that the thread that reads it ends."""
        self.broken = True
        with suppress(OSError, AttributeError):
            # Only the thread that reads may disconnect: redis-py would open it anew under its hands.
            self._connection._sock.shutdown(socket.SHUT_RDWR)

    def _send(self, command: str, name: bytes) -> None:
        try:
            self._connection.send_command(command, name, check_health=False)
        except redis.RedisError:
            self.shut()
            raise

    def _read(self) -> None:
        while (message := self._next()) is not None:
            self._received(*message)
        self._break()

    def _next(self) -> list[Any] | None:
        """Return what the server sends next, or `None` when the connection has broken."""
        try:
            while not self.broken:
                if self._connection.can_read(timeout=_IDLE_S):
                    return cast("list[Any]", self._connection.read_response(disconnect_on_error=False))
        except Exception:  # noqa: BLE001, S110 - redis-py raises anything when a failed send closed the socket
            pass
        return None

    def _received(self, kind: bytes, name: bytes, data: bytes) -> None:
        with self._lock:
            channel = self._channels.get(name)
            if channel is None:
                return
            if kind == b"subscribe":
                channel.confirmed.set()
            elif kind == b"message":
                for listener in channel.listeners:
                    listener.put(data)

    def _break(self) -> None:
        """Tell all who listen, and let go of the socket."""
        with self._lock:
            self.broken = True
            for channel in self._channels.values():
                channel.confirmed.set()
                for listener in channel.listeners:
                    listener.put(None)
            self._channels.clear()
            self._connection.disconnect()
