"""Pub/sub in one SQLite file: durable, shared by the processes of one machine, no server."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, How, Support
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus
from capa_core.components.sqlite import _queue, _queue_status
from capa_core.components.sqlite._database import Database, largest_row
from capa_core.components.sqlite._errors import name_error
from capa_core.components.sqlite._queue import Receipt
from capa_core.components.sqlite._uptime import Connection
from capa_core.components.sqlite._wakeup import RECHECK_S, Wakeups
from capa_core.errors import CapaError, DeadlineError, UnavailableError

_TIDY_PAUSE_S = 5.0
_TIDY_SOON_S = 0.05
_TIDY_BATCH = 500
_PAGE = 500
_BESIDE_BODY = 512 * 1024
"""Bytes of a row that are left for attributes, key, id and content type."""
_SIGNS_OF_LIFE = 4

T = TypeVar("T")


class SqlitePubSubSettings(BaseModel):
    """The place of the file, and the life of broadcast groups.

    Attributes:
        folder: Holds `pubsub.db`; on a local disk. The runtime's `.capa` folder by default.
        timeout_s: Seconds for which a call waits for the writes of other processes.
        abandoned_s: Seconds after the last heartbeat of its consumer at which a broadcast group is removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Path(".capa")
    timeout_s: float = 5.0
    abandoned_s: float = 60.0


class SqlitePubSub(PubSubDriver[SqlitePubSubSettings]):
    """Pub/sub in the tables `queue` and `message` of `<folder>/pubsub.db`.

    Publishing and acknowledging return when the change is on the disk; concurrent threads share an fsync. Leases are
    committed without one: after a power cut the messages are redelivered, as is correct.
    """

    settings_type = SqlitePubSubSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BROADCAST: BY_DRIVER,
        PubSubFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
    }

    def __init__(self, settings: SqlitePubSubSettings) -> None:
        super().__init__(settings)
        path = settings.folder / "pubsub.db"
        self._database = Database(path, *_queue.SCHEMA, timeout_s=settings.timeout_s)
        self._leases = Database(path, *_queue.SCHEMA, timeout_s=settings.timeout_s, durable=False)
        self._wakeups = Wakeups(settings.folder / "pubsub.wake")
        self._next_tidy = 0.0
        self._is_shrinking = False

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`: a row also has the attributes and the names."""
        return PubSubLimits(max_message_bytes=largest_row() - _BESIDE_BODY)

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        self._database.write(lambda connection: _queue.add(connection, topic, messages))
        self._wakeups.signal(topic)
        return [None] * len(messages)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return SqliteConsumer(self, topic, group, lease_s, temporary=temporary)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return self.read(lambda connection: _queue.depth(connection, topic, group))

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        return self.write(lambda connection: _queue.purge(connection, topic))

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: one connection for all callers, in autocommit mode; see `Database.native`."""
        return {sqlite3.Connection: self._database.native}

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        after = ""
        while page := self.read(partial(_queue_status.topics, after=after, most=_PAGE)):
            yield from page
            after = page[-1]

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: the file keeps no record of consumers."""
        return self.read(lambda connection: _queue_status.inspect(connection, topic))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        return self.read(
            lambda connection: _queue_status.peek(
                connection, topic, group, most, after=after, max_bytes=max_bytes
            )
        )

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        return self.write(lambda connection: _queue_status.purge(connection, topic, group))

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        self.read(lambda connection: connection.execute("SELECT count(*) FROM queue").fetchone())
        return f"SQLite {sqlite3.sqlite_version} in {self._database.path}"

    def close(self) -> None:
        """See `Driver.close`."""
        self._wakeups.close()
        self._leases.close()
        self._database.close()

    # Called by consumers

    @property
    def wakeups(self) -> Wakeups:
        """The signals that wake waiting consumers, by topic."""
        return self._wakeups

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run *function* on the committed data."""
        return self._database.read(function)

    def lease(self, function: Callable[[Connection], T]) -> T:
        """Run *function* as a write that need not survive a power cut."""
        return self._leases.write(function)

    def write(self, function: Callable[[Connection], T]) -> T:
        """Run *function* as a write that is on the disk afterwards."""
        result = self._database.write(function)
        self.tidy()
        return result

    def tidy(self) -> None:
        """Remove what expired and return free space to the disk, if it is time for that.

        While there is more to do, it is time again soon: the space of a backlog comes back within seconds.
        """
        now = time.monotonic()
        if now < self._next_tidy:
            return
        self._next_tidy = now + _TIDY_PAUSE_S
        with suppress(
            UnavailableError, DeadlineError
        ):  # other processes write: the caller's own work is done all the same
            more = self._leases.write(partial(_queue.tidy, most=_TIDY_BATCH))
            if more:
                self._next_tidy = now + _TIDY_SOON_S
            elif self._is_shrinking:
                self._leases.checkpoint()
            self._is_shrinking = more


class SqliteConsumer(ConsumerDriver):
    """One consumer of one queue."""

    def __init__(
        self, driver: SqlitePubSub, topic: str, group: str, lease_s: float, *, temporary: bool
    ) -> None:
        self._driver = driver
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
        deliveries = self._take(max_messages, end)
        if deliveries or not timeout_s:
            return deliveries
        with self._driver.wakeups.listen(self._topic) as listener:
            while not self._closed:
                deliveries = self._take(max_messages, end)
                left_s = end - time.monotonic()
                if deliveries or left_s <= 0:
                    return deliveries
                listener.wait(min(left_s, self._due_in_s()))
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._driver.write(lambda connection: _queue.remove(connection, ours))
        self._held.difference_update(ours)
        if any(receipt.key for receipt in ours):
            self._driver.wakeups.signal(self._topic)

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._driver.lease(lambda connection: _queue.hide(connection, ours, delay_s))
        self._held.difference_update(ours)
        self._driver.wakeups.signal(self._topic)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._driver.lease(lambda connection: _queue.release(connection, ours))
        self._held.difference_update(ours)
        self._driver.wakeups.signal(self._topic)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        ours = cast("Sequence[Receipt]", receipts)
        self._send_heartbeat()
        if not ours:
            return []
        return self._driver.lease(lambda connection: _queue.hide(connection, ours, self._lease_s))

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
                self._driver.lease(lambda connection: _queue.drop(connection, self._queue))
        elif held:
            self._driver.lease(lambda connection: _queue.release(connection, held))
        self._driver.wakeups.signal(self._topic)  # also ends a waiting `receive` of this consumer

    def _take(self, max_messages: int, end: float) -> list[Delivery]:
        """Lease ready messages, if a read without the write lock finds any; none if there is no turn to write now.

        Raises:
            DeadlineError: There was no turn, and it is past *end* (monotonic).
        """
        try:
            return self._lease(max_messages)
        except DeadlineError:
            if time.monotonic() >= end:
                raise
            return []

    def _lease(self, max_messages: int) -> list[Delivery]:
        self._send_heartbeat()
        if self._due_in_s() > 0:
            self._driver.tidy()
            return []
        with self._taking:
            if self._closed:
                return []
            deliveries, foreign = self._driver.lease(
                lambda connection: _queue.lease(connection, self._queue, max_messages, self._lease_s)
            )
            self.foreign += foreign
            self._held.update(cast("Receipt", delivery.receipt) for delivery in deliveries)
        return deliveries

    def _due_in_s(self) -> float:
        """Return the seconds until a message may become ready, at most `RECHECK_S`."""

        def left_s(connection: Connection) -> float:
            at = _queue.next_at(connection, self._queue)
            return RECHECK_S if at is None else min(RECHECK_S, max(0.0, at - connection.now()))

        return self._driver.read(left_s)

    def _join(self) -> int:
        life_s = self.silence_s if self._temporary else None
        return self._driver.write(
            lambda connection: _queue.join(connection, self._topic, self._group, life_s)
        )

    def _send_heartbeat(self) -> None:
        """Renew a temporary group; join again if it was removed as abandoned."""
        if not self._temporary or time.monotonic() < self._next_sign:
            return
        with self._showing_life:
            if self._closed:
                return
            if not self._driver.lease(
                lambda connection: _queue.live(connection, self._queue, self.silence_s)
            ):
                self._queue = self._join()
                self.rejoins += 1
            self._next_sign = time.monotonic() + self.silence_s / _SIGNS_OF_LIFE
