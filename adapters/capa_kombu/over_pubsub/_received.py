"""Messages that a channel has received and not settled, and the intakes that they came from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty
from typing import Any

from capa_core.blocks.pubsub import Intake, Message
from capa_core.call.loggers import named_logger
from capa_kombu.over_pubsub._envelope import loads
from capa_kombu.over_pubsub._errors import refusals_as_channel_errors

logger = named_logger("kombu.capa")
Settle = Callable[[Intake, list[Message]], object]


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits to be settled, with the queue that it came from."""

    queue: str
    intake: Intake
    message: Message


class Received:
    """The intakes of one channel. To receive is for one thread at a time, to settle for any.

    Args:
        join: Opens the intake of a queue.
        next_tag: Returns a delivery tag that no other message has.
    """

    def __init__(self, join: Callable[[str], Intake], next_tag: Callable[[], str]) -> None:
        self._join = join
        self._next_tag = next_tag
        self._lock = threading.Lock()
        self._intakes: dict[str, Intake] = {}
        self._held: dict[str, Held] = {}

    def get(self, queue: str, timeout_s: float) -> dict[str, Any]:
        """Return the next message of *queue* in kombu's form; it is held then under its delivery tag.

        Raises:
            Empty: None came within *timeout_s*.
            ChannelError: (kombu's) the component refuses the name.
            UnavailableError: The engine did not answer.
        """
        intake, end = self.join(queue), time.monotonic() + timeout_s
        while messages := intake.receive(1, max(0.0, end - time.monotonic())):
            (message,) = messages
            try:
                payload = loads(message.data)
            except ValueError as error:
                message.failed(error)
                intake.dead_letter([message])
                logger.warning("a message of queue %r became a dead letter: %s", queue, error)
                continue
            return self._hold(queue, intake, message, payload)
        raise Empty

    def count(self, queue: str) -> int:
        """Return how many messages of *queue* are held."""
        with self._lock:
            return sum(held.queue == queue for held in self._held.values())

    def pop(self, tag: str) -> Held | None:
        """Hold the message *tag* no more, and return it; `None` if it is not held."""
        with self._lock:
            return self._held.pop(tag, None)

    def tags(self, upto: str) -> list[str]:
        """Return the tags of the messages that came no later than *upto*, itself included; all for `""`."""
        with self._lock:
            tags = list(self._held)
        if not upto:
            return tags
        return tags[: tags.index(upto) + 1] if upto in tags else []

    def settle(self, tag: str, settle: Settle) -> None:
        """Settle the message *tag*; nothing happens if it is not held."""
        held = self.pop(tag)
        if held is not None:
            settle(held.intake, [held.message])

    def leave(self, queue: str) -> None:
        """Leave the group of *queue*, unless one of its messages is held: it then stays until `close`."""
        if not self.count(queue):
            intake = self._intakes.pop(queue, None)
            if intake is not None:
                intake.close()

    def close(self) -> None:
        """Give back all that is held, as delivered before, and leave all groups."""
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for one in held:
            one.intake.nack([one.message])
        while self._intakes:
            self._intakes.popitem()[1].close()

    def join(self, queue: str) -> Intake:
        """Return the intake of *queue*, which joins its group now if it has not yet.

        Raises:
            ChannelError: (kombu's) the component refuses the name.
            UnavailableError: The engine did not answer.
        """
        intake = self._intakes.get(queue)
        if intake is None:
            with refusals_as_channel_errors():
                intake = self._intakes[queue] = self._join(queue)
        return intake

    def _hold(self, queue: str, intake: Intake, message: Message, payload: dict[str, Any]) -> dict[str, Any]:
        tag = payload["properties"]["delivery_tag"] = self._next_tag()
        info = payload["properties"]["delivery_info"]
        info.setdefault("routing_key", queue)
        info["redelivered"] = message.delivery_count > 1
        with self._lock:
            self._held[tag] = Held(queue, intake, message)
        return payload
