"""Broadcasts of control commands, of replies to them and of events: to those who listen now, and for nobody else.

Each listener has a group of its own in the topic of its exchange. A topic without any group keeps its messages, so
that a list of the listeners of each exchange is kept in the state component, and nothing is published to none. A
listener that does not receive for a minute, because it is slow, was suspended or killed, leaves that list, and the
engine drops its group with what waits there: nothing piles up.
"""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Any

from kombu.utils import json as kombu_json

from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError, ConflictError

if TYPE_CHECKING:
    from capa_core import PubSub, State

logger = named_logger("celery.capa")

KEY = "celery-listeners"
LISTED_S = 50.0
"""Less than the time after which an engine drops the group of a listener: until then it keeps messages for it."""
RENEW_S = 15.0
BATCH = 200


class Listeners:
    """The list of those who listen to one exchange. Safe for many threads and processes."""

    def __init__(self, state: State, exchange: str) -> None:
        self._state = state
        self._key = f"{KEY}-{exchange}"

    def any(self) -> bool:
        """Return whether anyone listens."""
        return bool(self._listed(self._state.get(self._key)))

    def add(self, ident: str) -> None:
        """Add a listener, or keep it for another `LISTED_S`."""
        self._change(lambda listed: listed | {ident: time.time() + LISTED_S})

    def remove(self, ident: str) -> None:
        """Remove a listener; nothing happens if it is not listed."""
        self._change(lambda listed: {other: until for other, until in listed.items() if other != ident})

    def _change(self, change: Callable[[dict[str, float]], dict[str, float]]) -> None:
        while True:
            present = self._state.get_item(self._key)
            listed = change(self._listed(present.value if present else None))
            try:
                self._state.put_json(self._key, listed, ttl=LISTED_S, if_etag=present.etag if present else "")
            except ConflictError:
                continue
            return

    def _listed(self, value: bytes | None) -> dict[str, float]:
        now = time.time()
        found: dict[str, float] = json.loads(value) if value else {}
        return {ident: until for ident, until in found.items() if until > now}


class Listener:
    """One receiver of the messages of an exchange from now on. For one thread at a time.

    Args:
        accepts: Returns whether it wants messages with a routing key; the others are dropped.

    Raises:
        UnavailableError: An engine did not answer.
    """

    def __init__(self, pubsub: PubSub, state: State, exchange: str, accepts: Callable[[str], bool]) -> None:
        self._exchange = exchange
        self._accepts = accepts
        self._listeners = Listeners(state, exchange)
        self._arrived: deque[dict[str, Any]] = deque()
        if not self._listeners.any():  # what came for the last one, while it left
            pubsub.purge(exchange)
        self._consumer = pubsub.consumer(exchange, raw=True, broadcast=True)
        self._ident = self._consumer.group
        self._renew()

    def wait(self, timeout_s: float) -> bool:
        """Return whether there is a message, as soon as there is one or after *timeout_s*.

        Raises:
            UnavailableError: An engine did not answer.
        """
        end = time.monotonic() + timeout_s
        while not self._arrived:
            self._fetch(max(0.0, end - time.monotonic()))
            if time.monotonic() >= end:
                break
        return bool(self._arrived)

    def get(self) -> dict[str, Any]:
        """Return the next message in kombu's form.

        Raises:
            Empty: There is none now.
            UnavailableError: An engine did not answer.
        """
        if not self.wait(0.0):
            raise Empty
        return self._arrived.popleft()

    def close(self) -> None:
        """Listen no more. May be called from another thread, and wakes `wait`."""
        try:
            self._listeners.remove(self._ident)
            self._consumer.close()
        except CapaError as error:
            logger.warning("a listener to %s ends by its time only: %s", self._exchange, error)

    def _fetch(self, timeout_s: float) -> None:
        if time.monotonic() >= self._next_renewal:
            self._renew()
        messages = self._consumer.receive(BATCH, timeout_s)
        self._consumer.ack(messages)
        for message in messages:
            payload = _payload(message.data)
            if payload is None:
                logger.warning("a message to %s is not one of Celery's, and was dropped", self._exchange)
            elif self._accepts(payload["properties"]["delivery_info"]["routing_key"]):
                self._arrived.append(payload)

    def _renew(self) -> None:
        self._listeners.add(self._ident)
        self._next_renewal = time.monotonic() + RENEW_S


def _payload(data: bytes) -> dict[str, Any] | None:
    """Return the message in kombu's form; `None` if it is none."""
    try:
        payload: dict[str, Any] = kombu_json.loads(data)
        properties = payload["properties"]
        base64.b64decode(payload["body"])
        whole = (
            properties["body_encoding"] == "base64"
            and isinstance(properties["delivery_info"]["routing_key"], str)
            and isinstance(properties["delivery_tag"], str)
            and isinstance(payload["headers"], dict)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return payload if whole else None
