"""Compensation for abilities that a driver leaves to the core: each is a driver over the driver.

A driver that has all abilities itself is not wrapped, and so not slowed. Dead letters are a consumer over the consumer,
and only where a limit of deliveries is set.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from capa_core.abilities import BY_CORE, Feature, Support
from capa_core.blocks.pubsub._reason import REJECTED, UNSETTLED
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
)
from capa_core.blocks.pubsub.inspection import (
    DEAD_DELIVERIES,
    DEAD_GROUP,
    DEAD_ID,
    DEAD_REASON,
    DEAD_TOPIC,
    PeekedMessage,
    TopicStatus,
    dead_topic,
)
from capa_core.blocks.pubsub.over_driver import PubSubOver
from capa_core.errors import CapaError

DUE = "capa-due"
EXPIRES = "capa-expires"


def compensated(driver: PubSubDriver[Any]) -> PubSubDriver[Any]:
    """Return *driver* with the abilities that it leaves to the core, or itself if it leaves none."""

    def lacks(feature: PubSubFeature) -> bool:
        return not driver.features[feature].by_driver

    whole = driver
    if lacks(PubSubFeature.BULK):
        whole = OneByOne(whole)
    if lacks(PubSubFeature.BROADCAST):
        whole = LastingGroups(whole)
    if lacks(PubSubFeature.DELAY):
        whole = Delayed(whole)
    if lacks(
        PubSubFeature.TTL
    ):  # over `Delayed`, whose early deliveries must not count as "received in time"
        whole = Expiring(whole)
    return whole


def in_batches(messages: Sequence[OutgoingMessage], most: int | None) -> Iterator[Sequence[OutgoingMessage]]:
    """Return *messages* in pieces of up to *most*, the engine's `max_batch`."""
    size = most or len(messages)
    return (messages[start : start + size] for start in range(0, len(messages), size))


# --- drivers over drivers


class _Over(PubSubOver[PubSubDriver[Any]]):
    """A driver that passes every call on."""

    gives: PubSubFeature

    def __init__(self, driver: PubSubDriver[Any]) -> None:
        super().__init__(driver)
        self.features: Mapping[Feature, Support] = {**driver.features, self.gives: BY_CORE}  # type: ignore[misc] # of this one object

    def in_layout(self, layout: str, options: Mapping[str, Any]) -> PubSubDriver[Any]:
        """See `PubSubDriver.in_layout`."""
        return self._under.in_layout(layout, options)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return self._under.consume(topic, group, lease_s=lease_s, temporary=temporary)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return self._under.depth(topic, group)

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        return self._under.purge(topic)

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        return self._under.topics()

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        return self._under.inspect(topic)

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        return self._under.peek(topic, group, most, after=after, max_bytes=max_bytes)

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        return self._under.purge_group(topic, group)


class OneByOne(_Over):
    """BULK for a driver that publishes single messages only: one request for each.

    An error at the first message is raised, so that the whole batch can be tried again. A later one is the outcome
    of its message and, without further requests, of those behind it: a repeat would store the first ones twice.
    """

    gives = PubSubFeature.BULK

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        outcomes: list[CapaError | None] = []
        for message in messages:
            try:
                outcomes += self._under.publish(topic, (message,))
            except Exception as error:
                named = self._named(error)
                if named is None or not outcomes:
                    raise
                return outcomes + [named] * (len(messages) - len(outcomes))
        return outcomes

    def _named(self, error: Exception) -> CapaError | None:
        """Return *error* as one of Capa's, or `None` if it is not an error of the engine."""
        if isinstance(error, CapaError):
            return error
        kind = self.name_error(error)
        if kind is None:
            return None
        named = kind(f"publish failed: {error}")
        named.__cause__ = error
        return named


class LastingGroups(_Over):
    """BROADCAST for a driver without temporary groups: a lasting group, under the unique name that the core made."""

    gives = PubSubFeature.BROADCAST

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        del temporary
        return self._under.consume(topic, group, lease_s=lease_s)


class Delayed(_Over):
    """DELAY for a driver that can reject with a delay: the due time is an attribute of the message.

    A delayed message is received early once, and rejected until it is due. That delivery counts in the engine,
    so one is taken off the count; times are those of the clocks of publisher and consumer.
    """

    gives = PubSubFeature.DELAY

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        return self._under.publish(topic, [_with_due_time(message) for message in messages])

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return _DelayedConsumer(super().consume(topic, group, lease_s=lease_s, temporary=temporary))


class Expiring(_Over):
    """TTL for a driver without: the expiry is an attribute of the message, and a late first delivery is dropped.

    Every message with a TTL has the attribute, whoever drops it: `Message.expires_at` is read from it.
    """

    gives = PubSubFeature.TTL

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        return self._under.publish(topic, [_without_ttl(message) for message in messages])

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return _ExpiringConsumer(super().consume(topic, group, lease_s=lease_s, temporary=temporary))


# --- consumers over consumers


class _ConsumerOver(ConsumerDriver):
    """Passes on every call, and from `receive` only the deliveries that `_screened` keeps."""

    def __init__(self, consumer: ConsumerDriver) -> None:
        self._consumer = consumer

    @property
    def silence_s(self) -> float:  # type: ignore[override] # a driver sets it
        """See `ConsumerDriver.silence_s`."""
        return self._consumer.silence_s

    @property
    def rejoins(self) -> int:  # type: ignore[override] # as above
        """See `ConsumerDriver.rejoins`."""
        return self._consumer.rejoins

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`: again while all messages were screened out and there is time."""
        end = time.monotonic() + timeout_s
        while True:
            deliveries = self._consumer.receive(max_messages, max(0.0, end - time.monotonic()))
            kept = self._screened_or_released(deliveries)
            if kept or not deliveries or time.monotonic() >= end:
                return kept

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        self._consumer.ack(receipts)

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        self._consumer.nack(receipts, delay_s)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        self._consumer.release(receipts)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        return self._consumer.extend(receipts)

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        self._consumer.close()

    def _screened_or_released(self, deliveries: list[Delivery]) -> list[Delivery]:
        try:
            return self._screened(deliveries)
        except BaseException:
            # The caller will never see them: without this they would be hidden until their leases end.
            self._consumer.release([delivery.receipt for delivery in deliveries])
            raise

    @abstractmethod
    def _screened(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Return the deliveries that the caller gets; settle the others."""


class _DelayedConsumer(_ConsumerOver):
    def _screened(self, deliveries: list[Delivery]) -> list[Delivery]:
        return [
            delivery for delivery in deliveries if DUE not in delivery.attributes or self._is_due(delivery)
        ]

    def _is_due(self, delivery: Delivery) -> bool:
        """Return whether *delivery* is due, made to look like any other; reject it until then if not."""
        due = time_in(delivery.attributes, DUE)
        wait_s = 0.0 if due is None else due - time.time()
        if wait_s > 0:
            self._consumer.nack([delivery.receipt], wait_s)
            return False
        delivery.attributes = without(delivery.attributes, DUE)
        delivery.delivery_count = max(1, delivery.delivery_count - 1)
        return True


class _ExpiringConsumer(_ConsumerOver):
    def _screened(self, deliveries: list[Delivery]) -> list[Delivery]:
        kept, late = [], []
        for delivery in deliveries:
            # A message that was handled once must come again, however late.
            if EXPIRES in delivery.attributes and delivery.delivery_count <= 1 and _is_over(delivery):
                late.append(delivery.receipt)
            else:
                kept.append(delivery)
        if late:
            self._consumer.ack(late)
        return kept


def _is_over(delivery: Delivery) -> bool:
    expires = time_in(delivery.attributes, EXPIRES)
    return expires is not None and expires <= time.time()


class DeadLetterTopic:
    """The topic of the messages of *topic* that *group* gives up on."""

    def __init__(self, driver: PubSubDriver[Any], topic: str, group: str) -> None:
        self._driver = driver
        self._topic = topic
        self._group = group

    def store(self, deliveries: Sequence[Delivery]) -> None:
        """Publish *deliveries* with the reasons noted on them; raise unless all are stored."""
        dead = [self._dead(delivery) for delivery in deliveries]
        for batch in in_batches(dead, self._driver.limits.max_batch):
            for error in self._driver.publish(dead_topic(self._topic), batch):
                if error is not None:
                    raise error

    def _dead(self, delivery: Delivery) -> OutgoingMessage:
        attributes = {
            **without(delivery.attributes, EXPIRES),
            DEAD_TOPIC: self._topic,
            DEAD_GROUP: self._group,
            DEAD_ID: delivery.id,
            DEAD_DELIVERIES: str(delivery.delivery_count),
            DEAD_REASON: delivery.reason or REJECTED,
        }
        # Two groups may give up on one message: engines that deduplicate by id must keep both.
        ident = f"{delivery.id}.{self._group}"
        return OutgoingMessage(
            ident,
            delivery.data,
            delivery.content_type,
            attributes,
            key=delivery.key,
            priority=delivery.priority,
        )


class DeadLetters(_ConsumerOver):
    """DEAD_LETTER over any consumer: after *max_deliveries* a message moves to *topic*.

    The receipt of a delivery is the one from below, which has all that a dead letter needs.
    """

    def __init__(self, consumer: ConsumerDriver, topic: DeadLetterTopic, max_deliveries: int) -> None:
        super().__init__(consumer)
        self._topic = topic
        self._max_deliveries = max_deliveries

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        super().ack(_below(receipts))

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`: messages without a delivery left move instead."""
        given = cast("Sequence[Delivery]", receipts)
        spent = [below for below in given if below.delivery_count >= self._max_deliveries]
        if spent:
            self._bury(spent)
        left = [below for below in given if below.delivery_count < self._max_deliveries]
        if left:
            super().nack(_below(left), delay_s)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        super().release(_below(receipts))

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        return super().extend(_below(receipts))

    def _screened(self, deliveries: list[Delivery]) -> list[Delivery]:
        spent = [delivery for delivery in deliveries if delivery.delivery_count > self._max_deliveries]
        if spent:
            self._bury([replace(delivery, reason=UNSETTLED) for delivery in spent])
            deliveries = [each for each in deliveries if each.delivery_count <= self._max_deliveries]
        return [_screened(delivery) for delivery in deliveries]

    def _bury(self, deliveries: Sequence[Delivery]) -> None:
        """Move to the dead letter topic: stored there first, so that a crash between makes a duplicate, no loss."""
        self._topic.store(deliveries)
        self._consumer.ack([delivery.receipt for delivery in deliveries])


# --- small parts


def _with_due_time(message: OutgoingMessage) -> OutgoingMessage:
    if not message.delay_s:
        return message
    attributes = {**message.attributes, DUE: repr(time.time() + message.delay_s)}
    return replace(message, attributes=attributes, delay_s=0.0)


def _without_ttl(message: OutgoingMessage) -> OutgoingMessage:
    return message if message.ttl_s is None else replace(message, ttl_s=None)


def time_in(attributes: Mapping[str, str], name: str) -> float | None:
    """Return the time in an attribute; one that is unreadable must not make a message that is never received."""
    try:
        return float(attributes[name])
    except (KeyError, ValueError):
        return None


def without(attributes: Mapping[str, str], name: str) -> dict[str, str]:
    """Return *attributes* but for *name*."""
    return {key: value for key, value in attributes.items() if key != name}


class _Screened(Delivery):
    """A delivery whose receipt is the one from below; the reason set on it is kept there.

    The receipt cannot be this delivery itself: with a reference to itself, each message would wait for the collector.
    """

    __slots__ = ()

    @property
    def reason(self) -> str:
        return cast("Delivery", self.receipt).reason

    @reason.setter
    def reason(self, reason: str) -> None:
        cast("Delivery", self.receipt).reason = reason


def _screened(below: Delivery) -> Delivery:
    return _Screened(  # not by `dataclasses.replace`, which takes five times as long, for every message
        below.id,
        below.data,
        below.content_type,
        below.attributes,
        below,
        below.delivery_count,
        below.key,
        below.priority,
        below.published_at,
    )


def _below(receipts: Sequence[object]) -> list[object]:
    return [below.receipt for below in cast("Sequence[Delivery]", receipts)]
