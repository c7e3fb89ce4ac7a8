"""Replay of dead letters: from the dead letter topic back to the topic of their origin."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage, PubSubDriver
from capa_core.blocks.pubsub.inspection import DEAD_ATTRIBUTES, DEAD_ID, REPLAY_LEASE_S, dead_topic
from capa_core.call import Guard

_BATCH = 100
_FIRST_S = 20.0
"""How long to wait for messages that are known to be there: a consumer may have to join its group first."""


class Replay:
    """A consumer of the dead letters of *topic* in *group*. `close` releases the letters that it did not move.

    Args:
        is_ready: Whether there are letters that no other consumer has.
    """

    def __init__(
        self, guard: Guard, driver: PubSubDriver[Any], topic: str, group: str, *, is_ready: bool = False
    ) -> None:
        self._wait_s = _FIRST_S if is_ready else 0.0
        self._guard = guard
        self._driver = driver
        self._topic = topic
        self._moved: Counter[str] = Counter()
        self._began = time.time_ns() // 1_000_000 / 1_000  # engines note milliseconds
        self._consumer = guard.safe(
            "consume", driver.consume, dead_topic(topic), group, lease_s=REPLAY_LEASE_S
        )

    def move(self, count: int) -> Counter[str]:
        """Move *count* dead letters, or as many as there are, and return how many of each id."""
        while self._moved.total() < count:
            deliveries = self._receive(self._room(count))
            if not deliveries:
                break
            # One that died again meanwhile stays leased, so that it is not received again.
            self._publish([delivery for delivery in deliveries if not self._died_again(delivery)])
        return self._moved

    def remove(self, idents: Counter[str], depth: int) -> None:
        """Remove the copies of *idents* among the *depth* messages of the group, unless another consumer has them."""
        left = Counter(idents)
        while left and depth > 0:
            deliveries = self._receive(min(_BATCH, depth))
            if not deliveries:
                return
            depth -= len(deliveries)
            copies = []
            for delivery in deliveries:
                if delivery.id in left:
                    copies.append(delivery.receipt)
                    left -= Counter([delivery.id])
            self._guard.safe("ack", self._consumer.ack, copies)

    def _receive(self, most: int) -> list[Delivery]:
        deliveries = self._guard.once("receive", self._consumer.receive, most, self._wait_s)
        self._wait_s = 0.0
        return deliveries

    def _died_again(self, delivery: Delivery) -> bool:
        """Return whether *delivery* may be the dead letter of a message that was moved before.

        The id alone does not tell: messages of another program may share one, or have none. The moment does, as far as
        the clocks of the machines agree.
        """
        return delivery.id in self._moved and not 0 < delivery.published_at < self._began

    def _room(self, count: int) -> int:
        return min(_BATCH, count - self._moved.total())

    def _publish(self, deliveries: Sequence[Delivery]) -> None:
        """Publish, then remove the stored letters; raise if any was not stored."""
        if not deliveries:
            return
        messages = [_revived(delivery) for delivery in deliveries]
        errors = self._guard.safe("publish", self._driver.publish, self._topic, messages)
        stored = [delivery for delivery, error in zip(deliveries, errors, strict=True) if error is None]
        self._guard.safe("ack", self._consumer.ack, [delivery.receipt for delivery in stored])
        self._moved.update(delivery.id for delivery in stored)
        for error in errors:
            if error is not None:
                raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.once("close", self._consumer.close)


def _revived(delivery: Delivery) -> OutgoingMessage:
    """Return the message as it was published, as far as its dead letter has the fields."""
    attributes = {name: value for name, value in delivery.attributes.items() if name not in DEAD_ATTRIBUTES}
    return OutgoingMessage(
        delivery.attributes.get(DEAD_ID, delivery.id),
        delivery.data,
        delivery.content_type,
        attributes,
        key=delivery.key,
        priority=delivery.priority,
    )
