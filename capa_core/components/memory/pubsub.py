"""Pub/sub within one process, for tests; the reference for all other components."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import BY_CORE, NATIVE, Feature, Support, absent
from capa_core.blocks.pubsub.driver import (
    LONGEST_ONCE_S,
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
    outcomes,
)
from capa_core.blocks.pubsub.inspection import KEPT, PeekedMessage, TopicStatus, number_of_position
from capa_core.components.memory._queue import PublishedIds, Queue, Receipt
from capa_core.errors import CapaError


class MemoryPubSubSettings(BaseModel):
    """Limits: with those of the engine in production, a test finds messages that are over them.

    Attributes:
        max_message_bytes: The largest message; `None` for no limit.
        max_delay_s: The longest delay; `None` for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_message_bytes: int | None = Field(default=None, gt=0)
    max_delay_s: int | None = Field(default=None, gt=0)


class MemoryPubSub(PubSubDriver[MemoryPubSubSettings]):
    """Pub/sub with the topics of one instance."""

    settings_type = MemoryPubSubSettings
    features: ClassVar[Mapping[Feature, Support]] = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.SHARED: absent("messages live in the memory of one process"),
        PubSubFeature.DURABLE: absent("messages live in the memory of one process"),
    }

    def __init__(self, settings: MemoryPubSubSettings) -> None:
        super().__init__(settings)
        self._lock = threading.Lock()
        self._topics: dict[str, dict[str, Queue]] = {}
        self._published = PublishedIds()

    @property
    def limits(self) -> PubSubLimits:
        """Return the limits of the settings."""
        return PubSubLimits(
            max_message_bytes=self.settings.max_message_bytes,
            max_delay_s=self.settings.max_delay_s,
            max_once_s=LONGEST_ONCE_S,
        )

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """Add the messages to the queue of each group."""
        now = time.time()
        with self._lock:
            is_new = [self._published.note(topic, message) for message in messages]
            new = [message for message, wanted in zip(messages, is_new, strict=True) if wanted]
            for queue in self._targets(topic):
                for message in new:
                    queue.add(message, now)
                queue.changed.notify(len(new))
        return outcomes(messages, is_new)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """Join the group; the first permanent one gets the messages that waited for it."""
        with self._lock:
            queues = self._topics.setdefault(topic, {})
            if group not in queues:
                kept = None if temporary else queues.pop(KEPT, None)
                queues[group] = kept or Queue(self._lock)
                queues[group].temporary = temporary
            return MemoryConsumer(queues[group], self._lock, lease_s, queues if temporary else None, group)

    def depth(self, topic: str, group: str) -> int:
        """Return the number of messages in the queue of the group."""
        with self._lock:
            queues = self._topics.get(topic, {})
            queue = queues.get(group) or queues.get(KEPT)
            return queue.depth() if queue else 0

    def purge(self, topic: str) -> int:
        """Empty the queues of the topic."""
        with self._lock:
            gone: set[str] = set()
            for queue in self._topics.get(topic, {}).values():
                gone |= queue.clear()
            return len(gone)

    def topics(self) -> Iterator[str]:
        """Yield the current names."""
        with self._lock:
            return iter(list(self._topics))

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        with self._lock:
            queues = self._topics.get(topic, {})
            return TopicStatus.of(topic, [queues[name].status(name) for name in sorted(queues)])

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        number = number_of_position(after)
        with self._lock:
            queues = self._topics.get(topic, {})
            queue = queues.get(group) or queues.get(KEPT)
            return queue.peek(most, number, max_bytes) if queue else []

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        with self._lock:
            queue = self._topics.get(topic, {}).get(group)
            return len(queue.clear()) if queue else 0

    def ping(self) -> str:
        """See `Driver.ping`."""
        return "memory of this process"

    def close(self) -> None:
        """Do nothing: the messages end with the instance."""

    def forget(self) -> None:
        """Use a new lock: a thread of the parent may have held the old one."""
        self._lock = threading.Lock()
        for queues in self._topics.values():
            for queue in queues.values():
                queue.changed = threading.Condition(self._lock)

    def _targets(self, topic: str) -> list[Queue]:
        queues = self._topics.setdefault(topic, {})
        groups = [queue for group, queue in queues.items() if group != KEPT]
        return groups or [queues.setdefault(KEPT, Queue(self._lock))]


class MemoryConsumer(ConsumerDriver):
    """One consumer of one queue."""

    def __init__(
        self, queue: Queue, lock: threading.Lock, lease_s: float, own: dict[str, Queue] | None, group: str
    ) -> None:
        self._queue = queue
        self._lock = lock
        self._lease_s = lease_s
        self._own = own
        self._group = group
        self._held: set[Receipt] = set()
        self._closed = False
        queue.consumers += 1

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """Lease ready messages; wait for one to be published, to become due, or to lose its lease."""
        end = time.monotonic() + timeout_s
        with self._lock:
            while not self._closed:
                deliveries = self._queue.lease(max_messages, self._lease_s)
                left = end - time.monotonic()
                if deliveries or left <= 0:
                    self._held.update(delivery.receipt for delivery in deliveries)  # type: ignore[misc]
                    return deliveries
                self._queue.changed.wait(min(left, self._queue.next_due_s()))
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """Drop the messages."""
        with self._lock:
            self._held.difference_update(receipts)
            for receipt in receipts:
                self._queue.remove(receipt)
            self._queue.changed.notify()

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """Make the messages visible after *delay_s*."""
        with self._lock:
            self._give_back(receipts, delay_s)

    def release(self, receipts: Sequence[object]) -> None:
        """Make the messages visible and undo the count of the delivery."""
        with self._lock:
            self._give_back(receipts, 0.0, uncount=True)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """Hide the messages for another lease."""
        with self._lock:
            return [self._queue.hide(receipt, self._lease_s) for receipt in receipts]

    def close(self) -> None:
        """Release the held messages; remove the queue of a temporary group."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.consumers -= 1
            self._give_back(list(self._held), 0.0, uncount=True)
            if self._own is not None:
                self._own.pop(self._group, None)
            self._queue.changed.notify_all()

    def _give_back(self, receipts: Sequence[object], delay_s: float, *, uncount: bool = False) -> None:
        self._held.difference_update(receipts)
        for receipt in receipts:
            self._queue.hide(receipt, delay_s, uncount=uncount)
        self._queue.changed.notify(len(receipts))
