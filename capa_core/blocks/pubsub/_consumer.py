"""The pull form: messages in batches, settled by whoever received them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from capa_core.blocks.pubsub import _cloudevents, _timing
from capa_core.blocks.pubsub._checks import check_count, seconds
from capa_core.blocks.pubsub._message import Message
from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery, OutgoingMessage
from capa_core.blocks.pubsub.inspection import (
    DEAD_DELIVERIES,
    DEAD_GROUP,
    DEAD_ID,
    DEAD_TOPIC,
    dead_topic,
)
from capa_core.call import Guard, telemetry
from capa_core.call.cancellation import parts
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import ClosedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions:
    """What a consumer does beyond its driver."""

    topic: str
    group: str
    raw: bool
    max_deliveries: int | None
    timing: _timing.Timing
    bury: Callable[[str, Sequence[OutgoingMessage]], None]
    """Publishes to the dead letter topic; raises unless all is stored."""


@blocking()
class Consumer:
    """One consumer of one group. `receive` is for one thread at a time; the others may be called from any.

    A received message is leased: unless it is acknowledged, or its lease extended, within the lease, it comes again.
    """

    def __init__(self, guard: Guard, driver: ConsumerDriver, options: ConsumerOptions) -> None:
        self.topic = options.topic
        self.group = options.group
        self._guard = guard
        self._driver = driver
        self._options = options
        self._screens = bool(options.timing) or options.max_deliveries is not None
        self._closing = threading.Lock()
        self._closed = False
        self._rejoins = 0

    @property
    def silence_s(self) -> float:
        """Seconds without `receive` and `extend` after which it may be taken for dead; infinite for most groups."""
        return self._driver.silence_s

    @call_traits(waits=True, undo="release")
    def receive(self, max_messages: int = 1, timeout: timedelta | float = 1.0) -> list[Message]:
        """Return 1 to *max_messages* messages as soon as there are any, or none after *timeout*.

        Args:
            max_messages: 1 to 10,000.
            timeout: 0 looks once and does not wait.

        Raises:
            ClosedError: The consumer was closed before. A close while waiting returns no messages.
            UnavailableError: The engine did not answer. Call again: nothing is lost.
        """
        if self._closed:
            raise ClosedError(f"the consumer of {self.topic!r} in {self.group!r} was closed. Open another.")
        check_count("max_messages", max_messages)
        timeout_s = seconds("timeout", timeout)
        if not self._screens:
            return [self._message(delivery) for delivery in self._pull(max_messages, timeout_s)]
        end = time.monotonic() + timeout_s
        while True:
            pulled = self._pull(max_messages, max(0.0, end - time.monotonic()))
            kept = self._screened(pulled)
            if kept or time.monotonic() >= end or self._closed:
                return [self._message(delivery) for delivery in kept]

    def ack(self, messages: Sequence[Message]) -> None:
        """Remove *messages* for this group, on disk where the engine can.

        What is not this consumer's any more is passed over: it comes again, to whoever has it now.

        Raises:
            UnavailableError: The engine did not answer. Call again, or the messages come again after the lease.

        Retries: safe.
        """
        if messages:
            self._guard.safe("ack", self._driver.ack, [message.delivery.receipt for message in messages])

    def nack(self, messages: Sequence[Message], delay: timedelta | float = 0.0) -> None:
        """Hand *messages* back to come again after *delay*, to any consumer of the group.

        Those that were delivered `max_deliveries` times move to the dead letter topic instead.

        Raises:
            UnavailableError: The engine did not answer. Call again, or the messages come again after the lease.

        Retries: safe.
        """
        delay_s = seconds("delay", delay)
        most = self._options.max_deliveries
        spent = [message.delivery for message in messages if most and message.delivery_count >= most]
        if spent:
            self._bury(spent)
            messages = [message for message in messages if message.delivery_count < (most or 0)]
        if messages:
            receipts = [message.delivery.receipt for message in messages]
            self._guard.safe("nack", self._driver.nack, receipts, delay_s)

    def release(self, messages: Sequence[Message]) -> None:
        """Hand *messages* back as if they had never been received.

        Raises:
            UnavailableError: The engine did not answer. Call again, or the messages come again after the lease.

        Retries: safe.
        """
        if messages:
            receipts = [message.delivery.receipt for message in messages]
            self._guard.safe("release", self._driver.release, receipts)

    def extend(self, messages: Sequence[Message]) -> list[bool]:
        """Start the lease of each message anew; `False` in the places of those that were lost to another consumer.

        Without messages it only shows that the consumer lives: the group of a broadcast goes away when its consumer
        has neither received nor extended for a minute.

        Raises:
            UnavailableError: The engine did not answer.

        Retries: safe.
        """
        receipts = [message.delivery.receipt for message in messages]
        return self._guard.safe("extend", self._driver.extend, receipts)

    def close(self) -> None:
        """Hand back what is not acknowledged, and end a waiting `receive`. A second `close` waits for the first.

        Raises:
            UnavailableError: The engine did not answer. What was not handed back comes again after the lease.
        """
        with self._closing:
            if not self._closed:
                self._closed = True
                self._guard.once("close", self._driver.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pull(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """Receive without a span of its own: waiting for work is no work."""
        try:
            for part_s in parts(timeout_s):
                deliveries = self._driver.receive(max_messages, part_s)
                if self._driver.rejoins != self._rejoins:
                    self._report_rejoin()
                if deliveries or self._closed:
                    return deliveries
        except Exception as error:  # noqa: BLE001 - every engine raises its own
            if not self._closed:
                self._guard.fail("receive", error)
        return []

    def _report_rejoin(self) -> None:
        self._rejoins = self._driver.rejoins
        telemetry.logger(self._guard.block, self._guard.name).warning(
            "the group of a consumer had gone away, it joined anew: messages published in between are missed",
            topic=self.topic,
            group=self.group,
        )

    def _screened(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return what the user shall see; hide, drop or bury the rest."""
        kept, spent, late = [], [], []
        for delivery in deliveries:
            wait_s = _timing.wait_s(delivery) if self._options.timing.delay else 0.0
            if wait_s:
                self._guard.safe("nack", self._driver.nack, [delivery.receipt], wait_s)
            elif self._options.timing.ttl and _timing.expired(delivery):
                late.append(delivery)
            elif self._options.max_deliveries and _timing.counted(delivery) > self._options.max_deliveries:
                spent.append(delivery)
            else:
                kept.append(delivery)
        if late:
            self._guard.safe("ack", self._driver.ack, [delivery.receipt for delivery in late])
        if spent:
            self._bury(spent)
        return kept

    def _bury(self, deliveries: Sequence[Delivery]) -> None:
        """Move to the dead letter topic: stored there first, so that a crash between makes a duplicate, no loss."""
        self._options.bury(dead_topic(self.topic), [self._dead(delivery) for delivery in deliveries])
        self._guard.safe("ack", self._driver.ack, [delivery.receipt for delivery in deliveries])

    def _dead(self, delivery: Delivery) -> OutgoingMessage:
        times = (_timing.DUE, _timing.EXPIRES)
        attributes = {name: value for name, value in delivery.attributes.items() if name not in times}
        attributes[DEAD_TOPIC] = self.topic
        attributes[DEAD_GROUP] = self.group
        attributes[DEAD_ID] = delivery.id
        attributes[DEAD_DELIVERIES] = str(_timing.counted(delivery))
        # Two groups may give up on one message: engines that deduplicate by id must keep both.
        return OutgoingMessage(
            f"{delivery.id}.{self.group}", delivery.data, delivery.content_type, attributes, key=delivery.key
        )

    def _message(self, delivery: Delivery) -> Message:
        ident, data, content_type = delivery.id, delivery.data, delivery.content_type
        attributes: Any = delivery.attributes
        if not self._options.raw and content_type.startswith(_cloudevents.CONTENT_TYPE):
            event = _cloudevents.unwrap(data)
            if event is not None:  # what only claims to be an event is handed on as it is
                ident, data, content_type, fields = event
                attributes = {**attributes, **fields}
        return Message(
            ident,
            self.topic,
            data,
            content_type,
            attributes,
            delivery.key,
            delivery.priority,
            _timing.counted(delivery) if _timing.DUE in delivery.attributes else delivery.delivery_count,
            delivery.published_at,
            delivery,
        )
