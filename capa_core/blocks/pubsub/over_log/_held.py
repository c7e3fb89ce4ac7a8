"""The messages that one consumer has fetched and not finished: ready, hidden until a time, or behind one of their key.

The caller holds the lock.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence

from capa_core.blocks.log.driver import Partition, Record
from capa_core.blocks.pubsub.over_log._codec import DUE, due_of
from capa_core.blocks.pubsub.over_log._progress import Progress


class Entry:
    """One message.

    Attributes:
        progress: That of the group in its partition.
        batch: The number of the poll that fetched it.
        ready: Whether it may be taken, unless another one of its key comes first.
        hidden: The messages with which it is hidden until a time; `None` if it is not.
        turn: Counts the deliveries by this consumer: a receipt is of one of them.
        leased: Whether it is worked on.
        held: Whether it is this consumer's, rather than finished or another's.
    """

    __slots__ = ("batch", "held", "hidden", "leased", "progress", "ready", "record", "turn")

    def __init__(self, record: Record, progress: Progress, batch: int) -> None:
        self.record = record
        self.progress = progress
        self.batch = batch
        self.ready = True
        self.hidden: Hidden | None = None
        self.turn = 0
        self.leased = False
        self.held = True


Hidden = dict[Entry, None]
"""Messages that are hidden until the same time. One that leaves them leaves no trace: its body must not wait for it."""
Receipt = tuple[Entry, int]
"""A message and its turn: one delivery of it."""


def is_valid(receipt: Receipt) -> bool:
    """Return whether the message is still that of the delivery."""
    entry, turn = receipt
    return entry.held and entry.turn == turn


class HeldMessages:
    """The entries of one consumer. An entry in the ready queue counts only if it says so itself."""

    def __init__(self) -> None:
        self._entries: dict[Partition, dict[int, Entry]] = {}
        self._ready: deque[Entry] = deque()
        self._hidden: list[tuple[float, int, Hidden]] = []
        self._keys: dict[tuple[Partition, bytes], deque[Entry]] = {}
        self._order = itertools.count()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, partition: Partition, records: Iterable[Record], progress: Progress, batch: int) -> None:
        """Add messages of *partition*, each hidden until it is due."""
        entries = self._entries.setdefault(partition, {})
        before = len(entries)
        for record in records:
            entry = entries[record.offset] = Entry(record, progress, batch)
            if record.key is not None:
                self._keys.setdefault((partition, record.key), deque()).append(entry)
            if DUE in record.headers:
                self.show(entry, due_of(record) - time.time())
            else:
                self._ready.append(entry)
        self._count += len(entries) - before

    def take(self, most: int) -> list[Entry]:
        """Remove up to *most* messages from those that are ready, and return them."""
        self._wake_due()
        taken: list[Entry] = []
        while self._ready and len(taken) < most:
            entry = self._ready.popleft()
            if entry.ready and entry.held and (entry.record.key is None or self._is_first_of_key(entry)):
                entry.ready = False
                taken.append(entry)
        return taken

    def lease(self, entries: Sequence[Entry], lease_s: float) -> None:
        """Hide messages that were taken for *lease_s*, as a new delivery of each."""
        for entry in entries:
            entry.turn += 1
        self.extend(entries, lease_s)

    def extend(self, entries: Sequence[Entry], lease_s: float) -> None:
        """Hide messages for *lease_s* from now, also those whose lease has just ended."""
        for entry in entries:
            entry.leased = True
        self._hide(entries, lease_s)

    def show(self, entry: Entry, after_s: float) -> None:
        """Make a message ready, now or *after_s*, to be delivered again."""
        entry.leased = False
        if after_s > 0:
            self._hide([entry], after_s)
            return
        self._uncover(entry)
        entry.ready = True
        self._ready.append(entry)

    def drop(self, entries: Collection[Entry]) -> None:
        """Remove messages, and make the next one of each key ready."""
        for entry in entries:
            self._uncover(entry)
            entry.held = False
            record = entry.record
            del self._entries[record.partition][record.offset]
            if record.key is not None:
                self._drop_from_key(entry, (record.partition, record.key))
        self._count -= len(entries)

    def drop_partitions(self, partitions: Collection[Partition]) -> None:
        """Remove all messages of *partitions*."""
        for partition in partitions:
            for entry in self._entries.pop(partition, {}).values():
                self._uncover(entry)
                entry.held = False
                self._count -= 1
        for key in [key for key in self._keys if key[0] in partitions]:
            del self._keys[key]

    def leased(self, partition: Partition) -> Iterator[Entry]:
        """Return the messages of *partition* that are being worked on."""
        return (entry for entry in self._entries.get(partition, {}).values() if entry.leased)

    def next_due_s(self) -> float:
        """Return the seconds until something hidden may become ready; an hour if nothing is."""
        while self._hidden and not self._hidden[0][2]:
            heapq.heappop(self._hidden)
        return max(0.0, self._hidden[0][0] - time.monotonic()) if self._hidden else 3600.0

    def _hide(self, entries: Sequence[Entry], seconds: float) -> None:
        hidden = dict.fromkeys(entries)
        for entry in entries:
            self._uncover(entry)
            entry.ready = False
            entry.hidden = hidden
        heapq.heappush(self._hidden, (time.monotonic() + seconds, next(self._order), hidden))

    def _uncover(self, entry: Entry) -> None:
        if entry.hidden is not None:
            del entry.hidden[entry]
            entry.hidden = None

    def _wake_due(self) -> None:
        now = time.monotonic()
        while self._hidden and self._hidden[0][0] <= now:
            for entry in list(heapq.heappop(self._hidden)[2]):
                self.show(entry, 0.0)

    def _drop_from_key(self, entry: Entry, key: tuple[Partition, bytes]) -> None:
        waiting = self._keys[key]
        waiting.remove(entry)
        if not waiting:
            del self._keys[key]
        elif waiting[0].ready:
            self._ready.append(waiting[0])

    def _is_first_of_key(self, entry: Entry) -> bool:
        key = entry.record.key
        return key is None or self._keys[entry.record.partition, key][0] is entry
