"""The messages that one consumer has fetched and not finished: ready, hidden until a time, or behind one of their key.

The caller holds the lock.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Collection, Iterator

from capa_core.blocks.log.driver import Partition, Record


class Entry:
    """One message.

    Attributes:
        batch: The number of the poll that fetched it.
        due: 0 while it is ready, else the time (monotonic) until which it is hidden.
        turn: Counts the deliveries by this consumer: a receipt is of one of them.
        leased: Whether it is worked on.
        held: Whether it is this consumer's, rather than finished or another's.
    """

    __slots__ = ("batch", "due", "held", "leased", "record", "turn")

    def __init__(self, record: Record, batch: int) -> None:
        self.record = record
        self.batch = batch
        self.due = 0.0
        self.turn = 0
        self.leased = False
        self.held = True


class Receipt:
    """One delivery of one message."""

    __slots__ = ("entry", "turn")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.turn = entry.turn

    @property
    def is_valid(self) -> bool:
        """Whether the message is still this delivery's."""
        return self.entry.held and self.entry.turn == self.turn


class HeldMessages:
    """The entries of one consumer.

    As in the memory queue, an entry in the ready queue or in the heap counts only if its *due* still says so.
    """

    def __init__(self) -> None:
        self._entries: dict[Partition, dict[int, Entry]] = {}
        self._ready: deque[Entry] = deque()
        self._hidden: list[tuple[float, int, Entry]] = []
        self._keys: dict[tuple[Partition, bytes], deque[Entry]] = {}
        self._order = itertools.count()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: Record, batch: int, after_s: float) -> None:
        """Add a message, hidden for *after_s*."""
        entry = Entry(record, batch)
        self._entries.setdefault(record.partition, {})[record.offset] = entry
        self._count += 1
        if record.key is not None:
            self._keys.setdefault((record.partition, record.key), deque()).append(entry)
        self.show(entry, after_s)

    def take(self, most: int) -> list[Entry]:
        """Remove up to *most* messages from those that are ready, and return them."""
        self._wake_due()
        taken: list[Entry] = []
        while self._ready and len(taken) < most:
            entry = self._ready.popleft()
            if entry.held and not entry.due and not entry.leased and self._is_first_of_key(entry):
                taken.append(entry)
        return taken

    def lease(self, entry: Entry, lease_s: float) -> None:
        """Hide a message that was taken for *lease_s*, as a new delivery."""
        entry.turn += 1
        entry.leased = True
        self._hide(entry, lease_s)

    def show(self, entry: Entry, after_s: float) -> None:
        """Make a message ready, now or *after_s*, to be delivered again."""
        entry.leased = False
        if after_s > 0:
            self._hide(entry, after_s)
        else:
            entry.due = 0.0
            self._ready.append(entry)

    def extend(self, entry: Entry, lease_s: float) -> None:
        """Hide a message for *lease_s* from now, also if its lease has just ended."""
        entry.leased = True
        self._hide(entry, lease_s)

    def drop(self, entry: Entry) -> None:
        """Remove a message, and make the next one of its key ready."""
        entry.held = False
        self._count -= 1
        record = entry.record
        del self._entries[record.partition][record.offset]
        if record.key is None:
            return
        waiting = self._keys[record.partition, record.key]
        waiting.remove(entry)
        if not waiting:
            del self._keys[record.partition, record.key]
        elif not waiting[0].due:
            self._ready.append(waiting[0])

    def drop_partitions(self, partitions: Collection[Partition]) -> None:
        """Remove all messages of *partitions*."""
        for partition in partitions:
            for entry in self._entries.pop(partition, {}).values():
                entry.held = False
                self._count -= 1
        for key in [key for key in self._keys if key[0] in partitions]:
            del self._keys[key]

    def leased(self, partition: Partition) -> Iterator[Entry]:
        """Return the messages of *partition* that are being worked on."""
        return (entry for entry in self._entries.get(partition, {}).values() if entry.leased)

    def next_due_s(self) -> float:
        """Return the seconds until something hidden may become ready; an hour if nothing is."""
        return max(0.0, self._hidden[0][0] - time.monotonic()) if self._hidden else 3600.0

    def _hide(self, entry: Entry, seconds: float) -> None:
        entry.due = time.monotonic() + seconds
        heapq.heappush(self._hidden, (entry.due, next(self._order), entry))

    def _wake_due(self) -> None:
        now = time.monotonic()
        while self._hidden and self._hidden[0][0] <= now:
            due, _, entry = heapq.heappop(self._hidden)
            if entry.held and entry.due == due:
                self.show(entry, 0.0)

    def _is_first_of_key(self, entry: Entry) -> bool:
        key = entry.record.key
        return key is None or self._keys[entry.record.partition, key][0] is entry
