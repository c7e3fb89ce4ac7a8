"""A long poll: one request that a server holds until there is news, kept over many calls of `watch`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from capa_core.blocks.configuration.bell import Bell
from capa_core.http import Answer, Connection, Endpoint

T = TypeVar("T")

_MOST_BYTES = 64 * 1024 * 1024
_PAUSE_S = 0.1
"""Between two requests, so that a server that answers each at once is not asked all the time."""
_DROPPED_S = 1.0
"""A request that was held for so long when its connection ended was cut by a proxy or a restart; it is sent again.

So is one that was not, since the server may have closed a connection that was idle; two in a row are an error.
"""


class HeldPoll(Generic[T]):
    """The poll of one component. `wait` is for the watching thread; the rest, of its `Bell`, for any.

    Args:
        send: Sends a request for what is wanted, and returns the connection that the answer comes on.
        hold_s: Seconds for which the server holds it at most.
        timeout_s: Seconds for everything else.
    """

    def __init__(
        self, send: Callable[[T], tuple[Endpoint, Connection]], *, hold_s: float, timeout_s: float
    ) -> None:
        self._send_it = send
        self._hold_s = hold_s
        self._timeout_s = timeout_s
        self._held: tuple[Endpoint, Connection] | None = None
        self._asked: T | None = None
        self._sent_at = float("-inf")
        self._drops = 0
        self._bell = Bell(self._drop, timeout_s=2 * timeout_s)
        self.wake, self.close, self.forget = self._bell.ring, self._bell.close, self._bell.forget

    def wait(self, wanted: T, end: float) -> Answer | None:
        """Return the answer to a request for what is *wanted*; `None` at *end* (monotonic), or after `wake` or `close`.

        The request that is held goes on; one for something else is dropped.

        Raises:
            capa_core.http.NotSentError: It cannot be sent.
            TimeoutError: It was held for longer than the server may: it does not answer.
            OSError: Its answer broke off.
        """
        with self._bell.waiting():
            answer = None
            while not (self._bell.closed or answer or time.monotonic() >= end):
                self._send(wanted)
                is_rung, is_ready = self._ready(min(end, self._due()) - time.monotonic())
                answer = self._taken() if is_ready else None
                if is_rung:
                    if answer:
                        self._bell.ring()  # for the next call: the caller may not know what it rang for
                    break
            return answer

    def _send(self, wanted: T) -> None:
        if self._held is not None and time.monotonic() > self._due():
            self._drop()
            raise TimeoutError("the server has not answered a poll that it held for long enough")
        if wanted != self._asked:
            self._drop()
        if self._held is None and time.monotonic() >= self._sent_at + _PAUSE_S:
            self._sent_at, self._asked = time.monotonic(), wanted
            self._held = self._send_it(wanted)

    def _due(self) -> float:
        """Return when something is to be done at the latest (monotonic)."""
        return self._sent_at + (_PAUSE_S if self._held is None else self._hold_s + self._timeout_s)

    def _ready(self, timeout_s: float) -> tuple[bool, bool]:
        """Return whether it was rung, and whether the answer has begun."""
        sockets = {} if self._held is None else {self._held[1].sock: self._held[1]}
        is_rung, ready = self._bell.select(sockets, timeout_s)
        return is_rung, any(connection.has_begun() for connection in ready)

    def _taken(self) -> Answer | None:
        if self._held is None:
            return None
        (endpoint, connection), self._held = self._held, None
        connection.sock.end = time.monotonic() + self._timeout_s
        try:
            answer = endpoint.answered(connection, most_bytes=_MOST_BYTES)
        except ConnectionResetError:
            self._drops = self._drops + 1 if time.monotonic() - self._sent_at < _DROPPED_S else 0
            if self._drops > 1:
                raise
            return None
        self._drops = 0
        return answer

    def _drop(self) -> None:
        if self._held is not None:
            self._held[1].close()
            self._held = None
