"""Queues of messages with leases, delays, priorities and order by key, and published ids. The caller holds the lock."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from itertools import islice
from typing import NamedTuple, cast

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage
from capa_core.blocks.pubsub.inspection import GroupStatus, MessageState, PeekedMessage


class Receipt(NamedTuple):
    """One delivery of one message; each delivery has a different count."""

    number: int
    times: int


class _Entry:
    """A message in the queue. It is ready if *due* is 0, else hidden until then."""

    __slots__ = ("count", "due", "expires", "message", "number", "published_at")

    def __init__(self, number: int, message: OutgoingMessage, now: float) -> None:
        self.number = number
        self.message = message
        self.count = 0
        self.due = 0.0
        self.published_at = now
        self.expires = None if message.ttl_s is None else time.monotonic() + message.ttl_s

    @property
    def expired(self) -> bool:
        return self.count == 0 and self.expires is not None and self.expires <= time.monotonic()


class Queue:
    """Messages of one topic for one group.

    Two heaps order the ready entries by priority and the hidden ones by time. A heap may hold stale items: an item is
    valid only if its entry still has that state.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self.changed = threading.Condition(lock)
        self.consumers = 0
        self.temporary = False
        self._entries: dict[int, _Entry] = {}
        self._ready: list[tuple[int, int]] = []
        self._hidden: list[tuple[float, int]] = []
        self._keys: dict[str, deque[int]] = {}
        self._next = 0

    def add(self, message: OutgoingMessage, now: float) -> None:
        """Append *message*, hidden if it has a delay."""
        self._next += 1
        entry = self._entries[self._next] = _Entry(self._next, message, now)
        if message.key:
            self._keys.setdefault(message.key, deque()).append(entry.number)
        self._show(entry, message.delay_s)

    def lease(self, most: int, lease_s: float) -> list[Delivery]:
        """Hide up to *most* ready messages for *lease_s* and return them."""
        self._wake_due()
        deliveries: list[Delivery] = []
        while self._ready and len(deliveries) < most:
            entry = self._entries.get(heapq.heappop(self._ready)[1])
            if entry is None or entry.due or not self._is_first_of_key(entry):
                continue
            if entry.expired:
                self._drop(entry)
                continue
            entry.count += 1
            self._show(entry, lease_s)
            deliveries.append(_delivery(entry))
        return deliveries

    def next_due_s(self) -> float:
        """Return the seconds until a hidden message may become ready; an hour if there is none."""
        return max(0.0, self._hidden[0][0] - time.monotonic()) if self._hidden else 3600.0

    def remove(self, receipt: object) -> None:
        """Drop the message of *receipt*, unless it was redelivered."""
        entry = self._held(receipt)
        if entry is not None:
            self._drop(entry)

    def hide(self, receipt: object, seconds: float, *, uncount: bool = False) -> bool:
        """Hide the message of *receipt* for *seconds*, or show it if 0; return whether the receipt is current."""
        entry = self._held(receipt)
        if entry is None:
            return False
        entry.count -= uncount
        self._show(entry, seconds)
        return True

    def depth(self) -> int:
        """Return the number of messages, hidden ones included."""
        return sum(not entry.expired for entry in self._entries.values())

    def status(self, name: str) -> GroupStatus:
        """Return the status of the queue as that of the group *name*."""
        now = time.monotonic()
        entries = [entry for entry in self._entries.values() if not entry.expired]
        return GroupStatus(
            name=name,
            depth=len(entries),
            in_flight=sum(entry.count > 0 and entry.due > now for entry in entries),
            oldest_s=max(0.0, time.time() - entries[0].published_at) if entries else None,
            consumers=self.consumers,
            temporary=self.temporary,
        )

    def peek(self, most: int, after: int, max_bytes: int) -> list[PeekedMessage]:
        """Return up to *most* messages after number *after*."""
        behind = (entry for entry in self._entries.values() if entry.number > after and not entry.expired)
        return [self._peeked(entry, max_bytes) for entry in islice(behind, most)]

    def _peeked(self, entry: _Entry, max_bytes: int) -> PeekedMessage:
        return PeekedMessage.of(
            entry.message,
            str(entry.number),
            max_bytes=max_bytes,
            delivery_count=entry.count,
            published_at=entry.published_at,
            state=self._state(entry),
        )

    def _state(self, entry: _Entry) -> MessageState:
        if entry.due > time.monotonic():
            return MessageState.IN_FLIGHT if entry.count else MessageState.DELAYED
        return MessageState.READY if self._is_first_of_key(entry) else MessageState.BEHIND

    def clear(self) -> set[str]:
        """Drop all messages and return their ids."""
        gone = {entry.message.id for entry in self._entries.values() if not entry.expired}
        self._entries.clear()
        self._keys.clear()
        return gone

    def _show(self, entry: _Entry, after_s: float) -> None:
        if after_s:
            entry.due = time.monotonic() + after_s
            heapq.heappush(self._hidden, (entry.due, entry.number))
        else:
            entry.due = 0.0
            heapq.heappush(self._ready, (-entry.message.priority, entry.number))

    def _wake_due(self) -> None:
        now = time.monotonic()
        while self._hidden and self._hidden[0][0] <= now:
            due, number = heapq.heappop(self._hidden)
            entry = self._entries.get(number)
            if entry is not None and entry.due == due:
                self._show(entry, 0.0)

    def _held(self, receipt: object) -> _Entry | None:
        number, count = cast("Receipt", receipt)
        entry = self._entries.get(number)
        return entry if entry is not None and entry.count == count else None

    def _is_first_of_key(self, entry: _Entry) -> bool:
        key = entry.message.key
        return not key or self._keys[key][0] == entry.number

    def _drop(self, entry: _Entry) -> None:
        """Remove *entry* and make the next one of its key available."""
        del self._entries[entry.number]
        key = entry.message.key
        if not key:
            return
        numbers = self._keys[key]
        numbers.remove(entry.number)
        if not numbers:
            del self._keys[key]
        elif not (following := self._entries[numbers[0]]).due:
            self._show(following, 0.0)


class PublishedIds:
    """The ids that were published with `once_s`, each until its time is over."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}
        self._ends: list[tuple[float, tuple[str, str]]] = []

    def note(self, topic: str, message: OutgoingMessage) -> bool:
        """Return whether *message* is to be stored, and note its id if it asks for that."""
        if not message.once_s:
            return True
        now, ident = time.monotonic(), (topic, message.id)
        while self._ends and self._ends[0][0] <= now:
            self._until.pop(heapq.heappop(self._ends)[1])
        if ident in self._until:
            return False
        self._until[ident] = now + message.once_s
        heapq.heappush(self._ends, (now + message.once_s, ident))
        return True


def _delivery(entry: _Entry) -> Delivery:
    message = entry.message
    return Delivery(
        message.id,
        message.data,
        message.content_type,
        message.attributes,
        Receipt(entry.number, entry.count),
        entry.count,
        message.key,
        message.priority,
        entry.published_at,
    )
