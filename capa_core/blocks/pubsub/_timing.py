"""Delay and time to live for engines that have neither: the times travel with the message, the consumer keeps them.

A delayed message is received early once, and handed back until it is due. What this costs: that first hop counts as
a delivery, so one is taken off the count, and times are told by the clocks of publisher and consumer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from capa_core.abilities import How
from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage, PubSubDriver, PubSubFeature

DUE = "capa-due"
EXPIRES = "capa-expires"


@dataclass(frozen=True, slots=True)
class Timing:
    """Which of the two the core keeps for one driver."""

    delay: bool
    ttl: bool

    @classmethod
    def of(cls, driver: PubSubDriver) -> Timing:  # type: ignore[type-arg] # whatever its settings
        """Return what *driver* leaves to the core."""
        features = driver.features
        return cls(
            delay=features[PubSubFeature.DELAY].how is How.CORE,
            ttl=features[PubSubFeature.TTL].how is How.CORE,
        )

    def __bool__(self) -> bool:
        return self.delay or self.ttl

    def stamped(self, message: OutgoingMessage) -> OutgoingMessage:
        """Return *message* with the times that the core keeps as attributes."""
        delay_s = message.delay_s if self.delay else 0.0
        ttl_s = message.ttl_s if self.ttl else None
        if not delay_s and ttl_s is None:
            return message
        attributes, now = dict(message.attributes), time.time()
        if delay_s:
            attributes[DUE] = repr(now + delay_s)
        if ttl_s is not None:
            attributes[EXPIRES] = repr(now + ttl_s)
        return replace(
            message,
            attributes=attributes,
            delay_s=message.delay_s - delay_s,
            ttl_s=None if ttl_s is not None else message.ttl_s,
        )


def wait_s(delivery: Delivery) -> float:
    """Return how long *delivery* must still be hidden; 0 if it is due."""
    due = _time(delivery, DUE)
    return 0.0 if due is None else max(0.0, due - time.time())


def expired(delivery: Delivery) -> bool:
    """Return whether nobody received *delivery* in time. What was handled once must come again, however late."""
    expires = _time(delivery, EXPIRES)
    return expires is not None and expires <= time.time() and counted(delivery) <= 1


def counted(delivery: Delivery) -> int:
    """Return the delivery count as a handler should see it."""
    return max(1, delivery.delivery_count - 1) if DUE in delivery.attributes else delivery.delivery_count


def _time(delivery: Delivery, name: str) -> float | None:
    """Return the time in an attribute; what is none must not make a message that nobody can ever receive."""
    try:
        return float(delivery.attributes[name])
    except (KeyError, ValueError):
        return None
