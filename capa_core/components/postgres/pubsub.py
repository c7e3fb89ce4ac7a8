"""Pub/sub in a PostgreSQL database: SKIP LOCKED for competing consumers, LISTEN and NOTIFY to wake them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

import psycopg
from pydantic import Field

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus, number_of_position
from capa_core.components.postgres import _queue, _queue_status
from capa_core.components.postgres._connection import LARGEST_IN_PIPELINE
from capa_core.components.postgres._driver import PostgresDriver
from capa_core.components.postgres._notices import RECHECK_S, Notices
from capa_core.components.postgres._queue import Receipt
from capa_core.components.postgres._settings import LONGEST_S, PostgresSettings
from capa_core.errors import CapaError

_LARGEST_BODY = 16 * 1024**2
_TIDY_PAUSE_S = 5.0
_TIDY_BATCH = 500
_PAGE = 500
_SIGNS_OF_LIFE = 4


class PostgresPubSubSettings(PostgresSettings):
    """The database, and the life of broadcast groups.

    Attributes:
        abandoned_s: Seconds after the last heartbeat of its consumer at which a broadcast group is removed.
    """

    abandoned_s: float = Field(default=60.0, gt=0)


class PostgresPubSub(PostgresDriver[PostgresPubSubSettings], PubSubDriver[PostgresPubSubSettings]):
    """Pub/sub in the tables `queue` and `message` of the schema (`_queue.py` explains them).

    Publishing and acknowledging return when the server has committed the change, as durably as its settings say.
    Leases are committed without waiting for its disk: after a crash the messages are redelivered, as is correct.
    """

    block = "pubsub"
    steps: Sequence[str] = _queue.STEPS
    settings_type = PostgresPubSubSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BROADCAST: BY_DRIVER,
    }

    def __init__(self, settings: PostgresPubSubSettings) -> None:
        super().__init__(settings)
        self.notices = Notices(settings, self.block)
        self._next_tidy = 0.0

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`: a body is sent within the deadline; the server bears 1 GiB in a batch."""
        return PubSubLimits(max_message_bytes=_LARGEST_BODY, max_delay_s=LONGEST_S)

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        if any(message.key for message in messages) or not self._added_at_once(topic, messages):
            self.database.transaction(lambda connection: _queue.add(connection, topic, messages))
            self.wake(topic)
        self.tidy()
        return [None] * len(messages)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return PostgresConsumer(self, topic, group, lease_s, temporary=temporary)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return int(self.database.run(_queue_status.DEPTH, topic=topic, name=group)[0][0])

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        return int(self.database.run(_queue_status.PURGE, topic=topic)[0][0])

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        return int(self.database.run(_queue_status.PURGE_GROUP, topic=topic, name=group)[0][0])

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        after = ""
        while page := self.database.run(_queue_status.TOPICS, after=after, most=_PAGE):
            yield from (topic for (topic,) in page)
            after = page[-1][0]

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: the tables keep no record of consumers."""
        return _queue_status.topic_status(topic, self.database.run(_queue_status.INSPECT, topic=topic))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        values = {"topic": topic, "name": group, "most": most, "max_bytes": max_bytes}
        rows = self.database.run(_queue_status.PEEK, after=number_of_position(after), **values)
        return [_queue_status.peeked(row) for row in rows]

    def close(self) -> None:
        """See `Driver.close`."""
        self.notices.close()
        super().close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        super().forget()
        self.notices.forget()

    # Called by consumers

    def wake(self, topic: str) -> None:
        """Wake the consumers of *topic*, here and in other processes."""
        self.notices.signal(topic)
        if not self.settings.pooler:
            self.database.notify(self.notices.about(topic))

    def _added_at_once(self, topic: str, messages: Sequence[OutgoingMessage]) -> bool:
        """Append *messages* in one round trip, and return whether there was a queue for them."""
        values = _queue.rows_of(topic, messages)
        if self.settings.pooler or sum(len(message.data) for message in messages) > LARGEST_IN_PIPELINE:
            rows = self.database.run(_queue.ADD_AT_ONCE, **values)
            self.wake(topic)
        else:
            rows = self.database.run_and_notify(_queue.ADD_AT_ONCE, self.notices.about(topic), **values)
            self.notices.signal(topic)
        return rows != _queue.NO_QUEUE

    def tidy(self) -> None:
        """Remove expired messages and abandoned groups, if it is time for that."""
        now = time.monotonic()
        if now < self._next_tidy:
            return
        self._next_tidy = now + _TIDY_PAUSE_S
        with suppress(psycopg.Error):  # the caller's own work is done all the same
            self.database.transaction(_queue.drop_abandoned)
            while self.database.transaction(partial(_queue.remove_expired, most=_TIDY_BATCH)) == _TIDY_BATCH:
                pass


class PostgresConsumer(ConsumerDriver):
    """One consumer of one queue."""

    def __init__(
        self, driver: PostgresPubSub, topic: str, group: str, lease_s: float, *, temporary: bool
    ) -> None:
        self._driver = driver
        self._database = driver.database
        self._topic = topic
        self._group = group
        self._lease_s = lease_s
        self.silence_s = driver.settings.abandoned_s if temporary else math.inf
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
        deliveries = self._take(max_messages)
        if deliveries or not timeout_s:
            return deliveries
        with self._driver.notices.listen(self._topic) as noticed:
            while not self._closed:
                noticed.clear()
                deliveries = self._take(max_messages)
                left_s = end - time.monotonic()
                if deliveries or left_s <= 0:
                    return deliveries
                noticed.wait(min(left_s, self._due_in_s()))
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        ours = cast("Sequence[Receipt]", receipts)
        if any(receipt.key for receipt in ours):
            self._database.transaction(lambda connection: _queue.remove(connection, ours))
            self._driver.wake(self._topic)
        else:
            self._database.run(_queue.REMOVE, **_queue.numbers_of(ours))
        self._held.difference_update(ours)
        self._driver.tidy()

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._database.run(_queue.HIDE, seconds=float(delay_s), **_queue.numbers_of(ours))
        self._held.difference_update(ours)
        self._driver.wake(self._topic)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._database.run(_queue.RELEASE, **_queue.numbers_of(ours))
        self._held.difference_update(ours)
        self._driver.wake(self._topic)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._send_heartbeat()
        if not ours:
            return []
        rows = self._database.run(_queue.HIDE, seconds=float(self._lease_s), **_queue.numbers_of(ours))
        held = set(rows)
        return [(receipt.seq, receipt.times) in held for receipt in ours]

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        with self._taking:  # a `receive` in another thread may be leasing more
            held, self._held = list(self._held), set()
        if self._temporary:
            with (
                self._showing_life
            ):  # otherwise a heartbeat in another thread would find no queue and create one
                self._database.transaction(lambda connection: _queue.drop(connection, self._queue))
        elif held:
            self._database.run(_queue.RELEASE, **_queue.numbers_of(held))
        self._driver.wake(self._topic)  # also ends a waiting `receive` of this consumer

    def _take(self, most: int) -> list[Delivery]:
        """Lease available messages, the most urgent first; remove those that expired or are no messages."""
        self._send_heartbeat()
        with self._taking:
            while not self._closed:
                values = {"queue": self._queue, "most": most, "lease_s": float(self._lease_s)}
                rows = sorted(self._database.run(_queue.LEASE, **values))
                deliveries, gone = [], []
                for row in rows:
                    is_late = row[3]
                    delivery = None if is_late else _queue.delivery(row)
                    if delivery is None:
                        gone.append(Receipt(row[1], row[2], row[5]))
                        self.foreign += not is_late
                    else:
                        deliveries.append(delivery)
                if gone:
                    self._database.transaction(partial(_queue.remove, receipts=gone))
                self._held.update(cast("Receipt", delivery.receipt) for delivery in deliveries)
                if deliveries or not gone:
                    return deliveries
        return []

    def _due_in_s(self) -> float:
        """Return the seconds until a message may become available, at most `RECHECK_S`."""
        self._driver.tidy()
        ((due_in_s,),) = self._database.run(_queue.NEXT, queue=self._queue)
        return RECHECK_S if due_in_s is None else min(RECHECK_S, max(0.0, float(due_in_s)))

    def _join(self) -> int:
        life_s = self.silence_s if self._temporary else None
        return self._database.transaction(
            lambda connection: _queue.join(connection, self._topic, self._group, life_s)
        )

    def _send_heartbeat(self) -> None:
        """Renew a temporary group; join again if it was removed as abandoned."""
        if not self._temporary or time.monotonic() < self._next_sign:
            return
        with self._showing_life:
            if self._closed:
                return
            if not self._database.run(_queue.RENEW, queue=self._queue, life_s=self.silence_s):
                self._queue = self._join()
                self.rejoins += 1
            self._next_sign = time.monotonic() + self.silence_s / _SIGNS_OF_LIFE
