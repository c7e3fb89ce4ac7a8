"""The deadline of a whole call: redis-py limits only each single operation on a socket.

A server, or a network, that sends a byte now and then would otherwise hold a call, and the handshake before it, for
as long as it likes.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import Any, TypeVar

from capa_core.components.redis._errors import no_handshake

ConnectionT = TypeVar("ConnectionT", bound=type[Any])

_SEND_BYTES = 65536
_SLACK = 0.05
"""The part of its time by which a call may take longer."""


class Deadline:
    """The time (monotonic) until which a connection may work for one call; `None` between calls of the component.

    Attributes:
        is_unheard: Whether the server has taken the connection and said nothing yet.
    """

    __slots__ = ("end", "is_unheard", "slack_s")

    def __init__(self) -> None:
        self.end: float | None = None
        self.slack_s = 0.0
        self.is_unheard = False

    def begin(self, seconds: float) -> None:
        """Give the operations from now on *seconds* in total."""
        self.end = time.monotonic() + seconds
        self.slack_s = seconds * _SLACK

    def clear(self) -> None:
        """Let each operation have its own timeout again, as for callers of the native client."""
        self.end, self.slack_s = None, 0.0

    def limited(self, timeout_s: float | None) -> float | None:
        """Return *timeout_s*, or the time left if that is less.

        Raises:
            TimeoutError: No time is left.
        """
        if self.end is None:
            return timeout_s
        left_s = self.end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time of the call ran out")
        return left_s if timeout_s is None or left_s < timeout_s else timeout_s


class _BoundedSocket:
    """A socket whose operations end with the deadline of its connection."""

    __slots__ = ("_applied_s", "_deadline", "_sock", "_timeout_s")

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._timeout_s: float | None = sock.gettimeout()
        self._applied_s = self._timeout_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout_s = self._applied_s = seconds
        self._sock.settimeout(seconds)

    def hang_up(self) -> None:
        """End the connection under an operation of another thread, which then fails as if the server had ended it."""
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(
                self._sock, socket.SHUT_RDWR
            )  # that of TLS would take the session away, too

    def recv(self, *args: Any) -> Any:
        self._limit()
        return self._heard(self._sock.recv(*args))

    def recv_into(self, *args: Any) -> Any:
        self._limit()
        return self._heard(self._sock.recv_into(*args))

    def _heard(self, received: Any) -> Any:
        if received:
            self._deadline.is_unheard = False
        return received

    def sendall(self, data: Any) -> None:
        """Send in parts: a socket with TLS applies its timeout to each of its own parts."""
        if len(data) > _SEND_BYTES:
            data = memoryview(data)
        for begin in range(0, len(data), _SEND_BYTES):
            self._limit()
            self._sock.sendall(data[begin : begin + _SEND_BYTES])

    def _limit(self) -> None:
        """Set the timeout of the next operation, which is a system call, unless that of the last one fits."""
        wanted_s, applied_s = self._deadline.limited(self._timeout_s), self._applied_s
        if (
            wanted_s is None
            or applied_s is None
            or not wanted_s <= applied_s <= wanted_s + self._deadline.slack_s
        ) and wanted_s != applied_s:
            self._sock.settimeout(wanted_s)
            self._applied_s = wanted_s


def bounded(kind: ConnectionT) -> ConnectionT:
    """Return a subclass of redis-py's connection class *kind* with a `deadline`, which also spans its handshake."""

    class Bounded(kind):  # type: ignore[valid-type,misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.deadline = Deadline()
            super().__init__(*args, **kwargs)

        @property
        def socket_connect_timeout(self) -> float | None:
            """The seconds for the next address of the server: less than was set if the call has less left.

            It is kept under redis-py's own name of it, an attribute up to 5 and a property since 6.
            """
            return self.deadline.limited(self._socket_connect_timeout)

        @socket_connect_timeout.setter
        def socket_connect_timeout(self, seconds: float | None) -> None:
            self._socket_connect_timeout = seconds

        def _connect(self) -> _BoundedSocket:
            self.deadline.is_unheard = False
            sock = _BoundedSocket(super()._connect(), self.deadline)
            self.deadline.is_unheard = True
            return sock

        def _wrap_socket_with_ssl(self, sock: Any) -> Any:
            sock.settimeout(self.deadline.limited(sock.gettimeout()))
            try:
                wrapped = super()._wrap_socket_with_ssl(sock)
            except (TimeoutError, ssl.SSLError, ConnectionError) as error:
                raise no_handshake(error) from error
            wrapped.settimeout(self.socket_timeout)
            return wrapped

    return Bounded  # type: ignore[return-value]
