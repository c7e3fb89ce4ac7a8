"""Messages of one consumer, pulled over one connection. All is for the connection's thread."""

from __future__ import annotations

import json
import math
from asyncio import TimerHandle
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any

from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from capa_core.components.nats._connection import Connection, status_of
from capa_core.components.nats._errors import RefusedError
from capa_core.components.nats._streams import NANOSECONDS, Place
from capa_core.errors import ExhaustedError, UnavailableError

_GONE = "consumer deleted"
_LEADER_PAUSE_S = 0.1
_GRACE_S = 1.0
"""After the time of a request, for the server's status to come."""

OnEnd = Callable[[list[Msg], Exception | None], object]


class GoneError(errors.Error):
    """The consumer is not there: somebody deleted it, or the server has dropped it."""


class Puller:
    """A subscription to which a consumer's messages come, when they are asked for.

    Nothing comes unasked: a request ends with the message, or messages, that it asked for, or with a status.
    """

    def __init__(self, connection: Connection, place: Place, api: str) -> None:
        self.connection = connection
        self._place = place
        self._subject = f"{api}.CONSUMER.MSG.NEXT.{place.stream}.{place.consumer}"
        self._inbox = connection.client.new_inbox()
        self._subscription: Subscription | None = None
        self._requests = count(1)
        self._request = ""
        self._most = 0
        self._arrived: list[Msg] = []
        self._on_end: OnEnd | None = None
        self._giving_up: TimerHandle | None = None
        self._stopped = False

    async def ask(self, most: int, timeout_s: float, on_end: OnEnd) -> None:
        """Ask for up to *most* messages that are ready; else for one that comes within *timeout_s*.

        *on_end* is called with the messages that have come, none after that time; or with the error: `GoneError` if
        the consumer is not there. With both `no_wait` and `expires` the server sends what is ready; if nothing is, the
        first that comes within the time.
        """
        if self._subscription is None:
            self._subscription = await self.connection.client.subscribe(
                f"{self._inbox}.*", cb=self._on_message, pending_bytes_limit=0
            )
        self._most, self._request, self._on_end = most, f"{self._inbox}.{next(self._requests)}", on_end
        wanted: dict[str, Any] = {"batch": most, "no_wait": True}
        if timeout_s:
            wanted["expires"] = math.ceil(timeout_s * NANOSECONDS)
        await self.connection.client.publish(self._subject, json.dumps(wanted).encode(), reply=self._request)
        if timeout_s and self._on_end is not None:  # nothing has come yet
            self._giving_up = self.connection.later(timeout_s + _GRACE_S, self._end)
        if self._stopped:
            self._end()

    async def stop(self) -> None:
        """End a waiting request."""
        self._stopped = True
        self._end()

    async def leave(self) -> list[Msg]:
        """Have the server forget requests, and return what it had sent before."""
        if self._subscription is not None:
            with suppress(errors.BadSubscriptionError):
                await self._subscription.drain()  # type: ignore[no-untyped-call] # it is the library's
        return self._take()

    def _take(self) -> list[Msg]:
        taken, self._arrived = self._arrived, []
        return taken

    def _end(self, error: Exception | None = None) -> None:
        on_end, self._on_end = self._on_end, None
        giving_up, self._giving_up = self._giving_up, None
        if giving_up is not None:
            giving_up.cancel()
        if on_end is not None:
            on_end([] if error is not None else self._take(), error)

    async def _on_message(self, message: Msg) -> None:
        if message.reply.startswith("$JS.ACK"):
            self._arrived.append(message)
            if len(self._arrived) >= self._most:
                self._end()
        elif message.subject == self._request and status_of(message) not in ("", "100"):
            headers = message.headers or {}
            self._on_status(headers["Status"], headers.get("Description", ""))

    def _on_status(self, status: str, text: str) -> None:
        """End a request that the server has ended: with an error, or for want of messages."""
        if status == "503" or (status == "409" and _GONE in text.lower()):
            self._end(GoneError())
        elif status != "409":
            self._end()
        elif "leadership" in text.lower():  # the next request goes to the new leader
            self.connection.later(_LEADER_PAUSE_S, self._end)
        elif "maxwaiting" in text.lower().replace(" ", ""):
            has_many = f"the consumer {self._place.consumer!r} has too many waiting members: {text}"
            self._end(RefusedError(ExhaustedError, has_many))
        else:
            self._end(RefusedError(UnavailableError, f"the consumer {self._place.consumer!r}: {text}"))


Send = Callable[[Connection, Future[Msg]], Coroutine[Any, Any, None]]


def settle_all(replies: Sequence[str], word: bytes) -> Send:
    """Return what sends *word* for the deliveries with *replies*; its answer is that the server took note of all.

    It takes note in the order of sending, so that the answer to the last one is that to all.
    """

    async def settle(connection: Connection, answer: Future[Msg]) -> None:
        for reply in replies[:-1]:
            await connection.client.publish(reply, word)
        await connection.question(answer, replies[-1], word)

    return settle
