"""Consumers: messages of a log, leased one by one.

    poll ──▶ held messages ──▶ receive ──▶ ack, nack, release ──▶ progress ──▶ commit
                  ▲                            │
                  └──── retry topic ◀──────────┘

`receive` polls, on the caller's thread. All state is under `_lock`, which is never held while the log is called.
Commits are made one after another under `_committing`, so that an older one cannot come last.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, cast

from capa_core.blocks.log.driver import (
    AssignmentListener,
    Commit,
    LogConsumerDriver,
    LogDriver,
    OutgoingRecord,
    Partition,
    Record,
)
from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery
from capa_core.blocks.pubsub.over_log._codec import copy_of, deliveries_of, delivery_of, retry_topic
from capa_core.blocks.pubsub.over_log._held import Entry, HeldMessages, Receipt, is_valid
from capa_core.blocks.pubsub.over_log._progress import Progress
from capa_core.errors import CapaError, ConflictError

MOST_HELD = 10_000
"""With so many messages fetched and not finished, no more are fetched. Delayed ones count too."""
_SLICE_S = 0.25
"""How long to poll while messages are held: one that is rejected meanwhile must not wait for the next record."""


class _Messages(ConsumerDriver):
    """The part that consumers of a group and listeners share."""

    def __init__(self, log: LogDriver[Any], *, lease_s: float) -> None:
        self._log = log
        self._lease_s = lease_s
        self._lock = threading.RLock()
        self._polling = threading.Lock()
        self._held = HeldMessages()
        self._progress: dict[Partition, Progress] = {}
        self._batch = 0
        self._closed = False

    @property
    @abstractmethod
    def _source(self) -> LogConsumerDriver:
        """Return the consumer of the log."""

    @abstractmethod
    def _commit(self, partitions: Collection[Partition], *, wait: bool) -> None:
        """Store the progress of *partitions*; those that are not this consumer's any more are dropped."""

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        end = time.monotonic() + timeout_s
        deliveries = self._take(max_messages, fresh=None)
        while not deliveries and not self._closed:
            left_s = max(0.0, end - time.monotonic())
            fetched = self._fetch(max_messages, left_s)
            deliveries = self._take(max_messages, fresh=self._batch)
            if not fetched and not left_s:
                break
        return deliveries

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        with self._lock:
            entries = self._finish(_valid(receipts))
        self._commit({entry.record.partition for entry in entries}, wait=True)

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        self._hand_back(receipts, delay_s, uncount=False)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        self._hand_back(receipts, 0.0, uncount=True)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        self._show_life()
        with self._lock:
            self._held.extend(_valid(receipts), self._lease_s)
            return [is_valid(receipt) for receipt in cast("Sequence[Receipt]", receipts)]

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        self._source.close()

    # Receiving

    def _fetch(self, max_messages: int, timeout_s: float) -> int:
        """Poll once, and return how many records came."""
        with self._polling:
            with self._lock:
                room = MOST_HELD - len(self._held)
                if len(self._held):
                    timeout_s = min(timeout_s, self._held.next_due_s(), _SLICE_S)
            if room <= 0:
                return self._poll_paused(timeout_s)
            return self._add(self._source.poll(min(max_messages, room), timeout_s))

    def _poll_paused(self, timeout_s: float = 0.0) -> int:
        """Poll without fetching; records that come nonetheless, from a new partition, are held."""
        paused = self._source.assignment()
        self._source.pause(paused)
        try:
            return self._add(self._source.poll(1, timeout_s))
        finally:
            self._source.resume(paused)

    def _show_life(self) -> None:
        """Keep the partitions while messages are worked on; a running `receive` does so already."""
        if not self._closed and self._polling.acquire(blocking=False):
            try:
                self._poll_paused()
            finally:
                self._polling.release()

    def _add(self, records: Sequence[Record]) -> int:
        with self._lock:
            self._batch += 1
            for partition, run in itertools.groupby(records, attrgetter("partition")):
                progress = self._progress.get(partition)
                if progress is not None:
                    new = [record for record in run if progress.fetched(record.offset)]
                    self._held.add(partition, new, progress, self._batch)
        return len(records)

    def _take(self, most: int, *, fresh: int | None) -> list[Delivery]:
        """Lease ready messages, and store their counts before they are returned."""
        with self._lock:
            ready = self._held.take(most) if not self._closed else []
        gone = self._purged([entry for entry in ready if entry.batch != fresh])
        with self._lock:
            self._finish(entry for entry in gone if entry.held)
            taken = [entry for entry in ready if entry.held]
            for entry in taken:
                entry.progress.count(entry.record.offset, 1)
            self._held.lease(taken, self._lease_s)
        if not taken:
            return []
        try:
            self._commit({entry.record.partition for entry in taken}, wait=False)
        except BaseException:  # they are not returned: they must not stay hidden for the lease
            with self._lock:
                for entry in [entry for entry in taken if entry.held]:
                    entry.progress.count(entry.record.offset, -1)
                    self._held.show(entry, 0.0)
            raise
        with self._lock:
            return [self._delivery(entry) for entry in taken if entry.held]

    def _purged(self, entries: Collection[Entry]) -> list[Entry]:
        """Return those of *entries* that a purge has removed since they were fetched."""
        if not entries:
            return []
        bounds = self._log.bounds({entry.record.partition for entry in entries})
        firsts = {partition: each.first for partition, each in bounds.items()}
        return [entry for entry in entries if entry.record.offset < firsts.get(entry.record.partition, 0)]

    def _delivery(self, entry: Entry) -> Delivery:
        record = entry.record
        counted = entry.progress.counts.get(record.offset, 1)
        return delivery_of(record, (entry, entry.turn), counted)

    # Settling

    def _finish(self, entries: Iterable[Entry]) -> list[Entry]:
        done = list(entries)
        for entry in done:
            entry.progress.finish(entry.record.offset)
        self._held.drop(done)
        return done

    def _hand_back(self, receipts: Sequence[object], delay_s: float, *, uncount: bool) -> None:
        due = time.time() + delay_s if delay_s else None
        # A commit detects lost partitions: a copy of another consumer's message would be a duplicate.
        self._commit({entry.record.partition for entry in _valid(receipts)}, wait=False)
        with self._lock:
            entries = _valid(receipts)
            moved = [entry for entry in entries if self._moves(entry)]
            copies = [self._copy(entry, due, uncount=uncount) for entry in moved]
            for entry in [entry for entry in entries if not self._moves(entry)]:
                entry.progress.count(entry.record.offset, -uncount)
                self._held.show(entry, delay_s)
        if copies:
            self._append_copies(copies)
        with self._lock:  # only now: a crash between makes a duplicate, no loss
            self._finish(entry for entry in moved if entry.held)
        self._commit({entry.record.partition for entry in entries}, wait=True)

    def _copy(self, entry: Entry, due: float | None, *, uncount: bool) -> OutgoingRecord:
        record = entry.record
        counted = entry.progress.counts.get(record.offset, 0) - uncount
        deliveries = max(0, deliveries_of(record) + counted)
        return copy_of(record, deliveries=deliveries, due=due, partition=self._foreign_partition())

    @abstractmethod
    def _moves(self, entry: Entry) -> bool:
        """Return whether a rejected message moves to the retry topic, rather than wait in its place."""

    @abstractmethod
    def _append_copies(self, copies: Sequence[OutgoingRecord]) -> None:
        """Store *copies* in the retry topic; raise unless all are stored."""

    @abstractmethod
    def _foreign_partition(self) -> int | None:
        """Return a partition of the retry topic that another consumer reads, if there is one."""


class GroupMessages(_Messages, AssignmentListener):
    """A consumer of a group: of the topic, and of the group's retry topic."""

    def __init__(self, log: LogDriver[Any], topic: str, group: str, *, lease_s: float) -> None:
        super().__init__(log, lease_s=lease_s)
        self._group = group
        self._retry_topic = retry_topic(topic, group)
        self._retry_partitions = log.partitions(self._retry_topic)
        self._committing = threading.Lock()
        self._failed: set[Partition] = set()
        self._consumer = log.consume([topic, self._retry_topic], group, self, session_s=lease_s, yield_s=None)

    @property
    def _source(self) -> LogConsumerDriver:
        return self._consumer

    # Call-backs of the log, inside `poll` and `close`

    def assigned(self, partitions: Collection[Partition]) -> None:
        """Read the group's progress in new partitions."""
        commits: dict[Partition, Commit] = {}
        for topic in {partition.topic for partition in partitions}:
            commits |= self._log.committed(topic, self._group)
        with self._lock:
            for partition in partitions:
                self._progress[partition] = Progress(commits.get(partition, Commit(0)))

    def wanted(self, partitions: Collection[Partition]) -> None:
        """Free partitions without leased messages: fetched or delayed ones are fetched again by the next owner."""
        self._commit(partitions, wait=False)
        for partition in partitions:
            with self._lock:
                progress = self._progress.get(partition)
                if progress is None or any(self._held.leased(partition)):
                    continue
                self._held.drop_partitions([partition])
                progress.rewind()
            self._consumer.seek(partition, progress.low)

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Store the progress. Leases are lost; at the end of this consumer its messages count as never received."""
        if self._closed:
            with self._lock:
                for entry in [entry for partition in partitions for entry in self._held.leased(partition)]:
                    entry.progress.count(entry.record.offset, -1)
        self._commit(partitions, wait=True)
        self.lost(partitions)

    def lost(self, partitions: Collection[Partition]) -> None:
        """Drop the messages, whose leases are lost."""
        with self._lock:
            self._held.drop_partitions(partitions)
            for partition in partitions:
                self._progress.pop(partition, None)

    # Called by the part above

    def _commit(self, partitions: Collection[Partition], *, wait: bool) -> None:
        with self._committing:
            # A failed commit is repeated by the next one, such as a retry of an `ack` that has nothing left to do.
            wanted, wait = self._failed.union(partitions), wait or bool(self._failed)
            commits = self._commits(wanted)
            if not commits:
                return
            self._failed = wanted
            try:
                self._consumer.commit(commits, wait=wait)
            except ConflictError:
                self._commit_one_by_one(commits, wait=wait)
            self._failed = set()

    def _commit_one_by_one(self, partitions: Collection[Partition], *, wait: bool) -> None:
        """Detect the partitions that moved to other consumers, and commit the others."""
        for partition in partitions:
            try:
                self._consumer.commit(self._commits([partition]), wait=wait)
            except ConflictError:
                self.lost([partition])

    def _commits(self, partitions: Collection[Partition]) -> dict[Partition, Commit]:
        with self._lock:
            return {p: self._progress[p].commit() for p in partitions if p in self._progress}

    def _moves(self, entry: Entry) -> bool:
        return entry.record.key is None

    def _append_copies(self, copies: Sequence[OutgoingRecord]) -> None:
        most = self._log.limits.max_batch or len(copies)
        for start in range(0, len(copies), most):
            for outcome in self._log.append(self._retry_topic, copies[start : start + most]):
                if isinstance(outcome, CapaError):
                    raise outcome

    def _foreign_partition(self) -> int | None:
        own = self._consumer.assignment()
        foreign = [partition.number for partition in self._retry_partitions if partition not in own]
        return random.choice(foreign) if foreign else None  # noqa: S311 - no secret


class ListenerMessages(_Messages):
    """A consumer of all partitions, for itself alone."""

    def __init__(self, log: LogDriver[Any], topic: str, *, lease_s: float) -> None:
        super().__init__(log, lease_s=lease_s)
        bounds = log.bounds(log.create_topic(topic))
        self._progress = {partition: Progress(Commit(each.end)) for partition, each in bounds.items()}
        self._reader = log.read({partition: each.end for partition, each in bounds.items()})

    @property
    def _source(self) -> LogConsumerDriver:
        return self._reader

    def _commit(self, partitions: Collection[Partition], *, wait: bool) -> None:
        """Do nothing: its progress is not stored."""

    def _moves(self, entry: Entry) -> bool:
        del entry
        return False

    def _append_copies(self, copies: Sequence[OutgoingRecord]) -> None:
        """Do nothing: there are none."""

    def _foreign_partition(self) -> int | None:
        return None


def _valid(receipts: Sequence[object]) -> list[Entry]:
    """Return the messages that are still those of their receipts, each once."""
    found = [receipt[0] for receipt in cast("Sequence[Receipt]", receipts) if is_valid(receipt)]
    return list(dict.fromkeys(found))
