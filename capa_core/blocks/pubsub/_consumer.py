"""Consumers: pull messages in batches, and settle each of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from capa_core.blocks.pubsub import _cloudevents
from capa_core.blocks.pubsub._checks import Delays
from capa_core.blocks.pubsub._compensation import EXPIRES, DeadLetterTopic, time_in, without
from capa_core.blocks.pubsub._message import Message
from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery
from capa_core.call import Guard, telemetry
from capa_core.call.cancellation import parts
from capa_core.call.checks import check_count, seconds
from capa_core.call.conventions import CONSUMED_MESSAGES, LOST_LEASES
from capa_core.call.traits import blocking, call_traits
from capa_core.clocks import boot_time
from capa_core.errors import CapaError, ClosedError


@blocking()
class Consumer:
    """One consumer of one group. `receive` is for one thread at a time; the others may be called from any.

    A received message is leased: unless it is acknowledged, or its lease extended, within the lease, it comes again.
    """

    def __init__(
        self,
        guard: Guard,
        driver: ConsumerDriver,
        dead_letters: DeadLetterTopic,
        delays: Delays,
        *,
        topic: str,
        group: str,
        lease_s: float,
        raw: bool,
    ) -> None:
        self.topic = topic
        self.group = group
        self._delays = delays
        self._guard = guard
        self._subject = {
            "messaging.system": guard.system,
            "messaging.operation.name": "receive",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": group,
            "capa.component": guard.name,
        }
        self._driver = driver
        self._dead_letters = dead_letters
        self._lease_s = lease_s
        self._raw = raw
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

        Those that came while this process was suspended, and that others have got since, are not among them.

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
        timeout_s = seconds("timeout", timeout, most=math.inf)
        return [self._message(delivery) for delivery in self._pull(max_messages, timeout_s)]

    def ack(self, messages: Sequence[Message]) -> None:
        """Remove *messages* for this group, on disk where the engine can.

        Messages whose leases this consumer has lost are ignored: they are redelivered.

        Raises:
            UnavailableError: The engine did not answer. Call again, or the messages are redelivered after the lease.

        Retries: safe.
        """
        if messages:
            self._guard.safe("ack", self._driver.ack, [message.delivery.receipt for message in messages])

    def nack(self, messages: Sequence[Message], delay: timedelta | float = 0.0) -> None:
        """Reject *messages*: they are redelivered after *delay*, to any consumer of the group.

        Those that were delivered `max_deliveries` times move to the dead letter topic instead.

        Raises:
            InvalidArgumentError: *delay* is not a time, or over the component's `max_delay_s`. None was rejected.
            UnavailableError: The engine did not answer. Call again, or the messages are redelivered after the lease.

        Retries: safe.
        """
        delay_s = self._delays.seconds("delay", delay)
        if messages:
            receipts = [message.delivery.receipt for message in messages]
            self._guard.safe("nack", self._driver.nack, receipts, delay_s)

    def dead_letter(self, messages: Sequence[Message]) -> None:
        """Move *messages* to the dead letter topic now, with the reasons that `Message.failed` noted.

        For messages that no later delivery can help. They are stored there first: if this is interrupted, one may be
        in both topics, and none is lost.

        Raises:
            UnavailableError: The engine did not answer. Call again, or the messages come again after the lease.

        Retries: safe; a dead letter may be stored twice.
        """
        if messages:
            self._guard.safe(
                "dead_letter", self._dead_letters.store, [message.delivery for message in messages]
            )
            self.ack(messages)

    def release(self, messages: Sequence[Message]) -> None:
        """Release *messages* as if they had never been received.

        Raises:
            UnavailableError: The engine did not answer. Call again, or the messages are redelivered after the lease.

        Retries: safe.
        """
        if messages:
            receipts = [message.delivery.receipt for message in messages]
            self._guard.safe("release", self._driver.release, receipts)

    def extend(self, messages: Sequence[Message]) -> list[bool]:
        """Restart the lease of each message; `False` in the places of those that were lost to another consumer.

        Without messages it only shows that the consumer is alive: the group of a broadcast is dropped when its consumer
        has neither received nor extended for a minute.

        Raises:
            UnavailableError: The engine did not answer.

        Retries: safe.
        """
        receipts = [message.delivery.receipt for message in messages]
        return self._guard.safe("extend", self._driver.extend, receipts)

    def close(self) -> None:
        """Release the leased messages, and end a waiting `receive`. A second `close` waits for the first.

        Raises:
            UnavailableError: The engine did not answer. The messages are redelivered after the lease.
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
        """Receive without a span of its own: waiting for work is not work."""
        try:
            for part_s in parts(timeout_s):
                since = boot_time()
                deliveries = self._driver.receive(max_messages, part_s)
                if deliveries and boot_time() - since >= self._lease_s:
                    deliveries = self._still_ours(deliveries)
                if self._driver.rejoins != self._rejoins:
                    self._report_rejoin()
                if deliveries or self._closed:
                    telemetry.count(CONSUMED_MESSAGES, self._subject, len(deliveries))
                    return deliveries
        except Exception as error:  # noqa: BLE001 - every engine raises its own
            if not self._closed:
                self._guard.fail("receive", error)
        return []

    def count_lost(self, number: int) -> None:
        """Count *number* messages whose leases were lost."""
        telemetry.count(LOST_LEASES, self._subject, number)

    def _still_ours(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Return those that nobody else has by now, with leases from now.

        They may have been waiting in a socket of this process for longer than a lease, while it was suspended.
        """
        try:
            ours = self._guard.once(
                "extend", self._driver.extend, [delivery.receipt for delivery in deliveries]
            )
        except CapaError:  # to hand them out is right for most, and allowed for all
            return deliveries
        return [delivery for delivery, is_ours in zip(deliveries, ours, strict=True) if is_ours]

    def _report_rejoin(self) -> None:
        self._rejoins = self._driver.rejoins
        telemetry.logger(self._guard.block, self._guard.name).warning(
            "the group of a consumer had been dropped: it has joined again, and misses messages published in between",
            topic=self.topic,
            group=self.group,
        )

    def _message(self, delivery: Delivery) -> Message:
        ident, data, content_type = delivery.id, delivery.data, delivery.content_type
        attributes: Any = delivery.attributes
        expires_at = None
        if EXPIRES in attributes:
            expires_at, attributes = time_in(attributes, EXPIRES), without(attributes, EXPIRES)
        if not self._raw and content_type.startswith(_cloudevents.CONTENT_TYPE):
            event = _cloudevents.unwrap(data)
            if event is not None:  # a malformed event is delivered raw
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
            delivery.delivery_count,
            delivery.published_at,
            delivery,
            expires_at,
        )
