"""The consumer of one queue."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import cast

from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery
from capa_core.blocks.pubsub.over_tables._rows import Receipt
from capa_core.blocks.pubsub.over_tables._tables import QueueTables
from capa_core.errors import DeadlineError

_SIGNS_OF_LIFE = 4


class TableConsumer(ConsumerDriver):
    """One consumer of one queue in *tables*, which it joins at once."""

    def __init__(
        self, tables: QueueTables, topic: str, group: str, *, lease_s: float, temporary: bool
    ) -> None:
        self._tables = tables
        self._topic = topic
        self._group = group
        self._lease_s = lease_s
        self.silence_s = tables.abandoned_s if temporary else math.inf
        self._temporary = temporary
        self._showing_life = threading.Lock()
        self._next_sign = 0.0
        self._held: set[Receipt] = set()
        self._taking = threading.Lock()
        self._closed = False
        self._queue = self._join()

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        end = time.monotonic() + timeout_s
        deliveries = self._take(max_messages, end)
        if deliveries or not timeout_s:
            return deliveries
        with self._tables.listen(self._topic) as listener:
            while not self._closed:
                deliveries = self._take(max_messages, end)
                left_s = end - time.monotonic()
                if deliveries or left_s <= 0:
                    return deliveries
                self._tables.tidy()
                listener.wait(min(left_s, self._tables.due_in_s(self._queue)))
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._tables.remove(ours)
        self._held.difference_update(ours)
        if any(receipt.key for receipt in ours):
            self._tables.wake(self._topic)
        self._tables.tidy()

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._tables.hide(ours, delay_s)
        self._give_up(ours)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._tables.release(ours)
        self._give_up(ours)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._send_heartbeat()
        return self._tables.hide(ours, self._lease_s) if ours else []

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        with self._taking:  # a `receive` in another thread may be leasing more
            held, self._held = list(self._held), set()
        if self._temporary:
            with self._showing_life:  # a heartbeat in another thread would find no queue and create one
                self._tables.drop(self._queue)
        elif held:
            self._tables.release(held)
        self._tables.wake(self._topic)  # also ends a waiting `receive` of this consumer

    def _take(self, most: int, end: float) -> list[Delivery]:
        """Lease available messages; none if others write all the time and *end* (monotonic) is not reached."""
        try:
            return self._lease(most)
        except DeadlineError:
            if time.monotonic() >= end:
                raise
            return []

    def _lease(self, most: int) -> list[Delivery]:
        self._send_heartbeat()
        with self._taking:
            if self._closed:
                return []
            deliveries = self._tables.lease(self._queue, most, self._lease_s)
            self._held.update(cast("Receipt", delivery.receipt) for delivery in deliveries)
        return deliveries

    def _give_up(self, receipts: Sequence[Receipt]) -> None:
        self._held.difference_update(receipts)
        self._tables.wake(self._topic)

    def _join(self) -> int:
        return self._tables.join(self._topic, self._group, self.silence_s if self._temporary else None)

    def _send_heartbeat(self) -> None:
        """Renew a temporary group; join again if it was removed as abandoned."""
        if not self._temporary or time.monotonic() < self._next_sign:
            return
        with self._showing_life:
            if self._closed:
                return
            if not self._tables.renew(self._queue, self.silence_s):
                self._queue = self._join()
                self.rejoins += 1
            self._next_sign = time.monotonic() + self.silence_s / _SIGNS_OF_LIFE
