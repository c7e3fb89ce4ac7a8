"""Consumers of logs: members of a group, and readers without one."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self, cast

from capa_core.blocks.log._checks import (
    check_offset,
    check_offsets,
    check_partition,
    check_partitions,
    check_within,
    epoch_seconds,
)
from capa_core.blocks.log.driver import (
    AssignmentListener,
    Commit,
    LogConsumerDriver,
    LogDriver,
    LogFeature,
    Partition,
    Record,
    Start,
)
from capa_core.call import Guard
from capa_core.call.cancellation import parts
from capa_core.call.checks import check_count, seconds
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import ClosedError, InvalidArgumentError, UnsupportedError

PartitionsHandler = Callable[[frozenset[Partition]], object]
"""A call-back with the partitions that were gained or lost."""


class _Consumer:
    """The calls that both kinds of consumers have."""

    def __init__(self, guard: Guard, log: LogDriver[Any], driver: LogConsumerDriver) -> None:
        self._guard = guard
        self._log = log
        self._driver = driver
        self._closing = threading.Lock()
        self._closed = False
        self._ended = False  # later than `_closed`: call-backs inside `close` may still commit

    @property
    def assignment(self) -> frozenset[Partition]:
        """The partitions that are this consumer's, as far as the last `poll` knew."""
        return self._driver.assignment()

    @call_traits(waits=True, undo="rewind")
    def poll(self, max_records: int = 500, timeout: timedelta | float = 1.0) -> list[Record]:
        """Return 1 to *max_records* records as soon as there are any, or none after *timeout*.

        The records of one partition come in order, each once, unless it gets another owner or `seek` is called.

        Args:
            max_records: 1 to 10,000.
            timeout: 0 polls once and does not wait.

        Raises:
            ClosedError: The consumer was closed before. A close while waiting returns no records.
            UnavailableError: The engine did not answer. Call again: nothing is lost.
        """
        self._check_open(self._closed)
        check_count("max_records", max_records)
        timeout_s = seconds("timeout", timeout, most=math.inf)
        try:
            for part_s in parts(timeout_s):
                records = self._driver.poll(max_records, part_s)
                if records or self._closed:
                    return records
        except Exception as error:  # noqa: BLE001 - every engine raises its own
            if not self._closed:
                self._guard.fail("poll", error)
        return []

    def position(self, partition: Partition) -> int:
        """Return the offset of the next record of *partition* that `poll` returns.

        Raises:
            ConflictError: The partition is not this consumer's.
            InvalidArgumentError: *partition* is no `Partition`.
        """
        self._check_open()
        return self._guard.safe("position", self._driver.position, check_partition(partition))

    def seek(self, partition: Partition, to: int | datetime | Start) -> None:
        """Read on from another position: an offset, the first record at or after a time, the beginning or the end.

        An offset before the first record means the first one. The end is the largest offset: one past it would hide
        the next records.

        Raises:
            ConflictError: The partition is not this consumer's.
            InvalidArgumentError: *to* is not such a position, or past the end.
            UnsupportedError: *to* is a time, and the component cannot find positions by time.
        """
        self._check_open()
        offsets = offsets_of(self._guard, self._log, [check_partition(partition)], to)
        # A partition that does not exist is not this consumer's: the driver refuses it with any offset.
        self._guard.safe("seek", self._driver.seek, partition, offsets.get(partition, 0))

    def rewind(self, records: Iterable[Record]) -> None:
        """Read *records* again: move each partition back to the first of them.

        Raises:
            ConflictError: A partition is not this consumer's. Others may have been moved.
            InvalidArgumentError: *records* holds something else than records. Nothing was moved.
        """
        self._check_open()
        firsts: dict[Partition, int] = {}
        for record in _check_records(records):
            firsts[record.partition] = min(record.offset, firsts.get(record.partition, record.offset))
        for partition, offset in firsts.items():
            self._guard.safe("seek", self._driver.seek, partition, offset)

    def pause(self, partitions: Collection[Partition]) -> None:
        """Return no more records of *partitions* from `poll`, and keep them.

        `poll` must still be called: a consumer that does not loses its partitions. With all of them paused it
        returns nothing and costs little.
        """
        self._check_open()
        self._guard.safe("pause", self._driver.pause, check_partitions(partitions))

    def resume(self, partitions: Collection[Partition]) -> None:
        """Return records of *partitions* again."""
        self._check_open()
        self._guard.safe("resume", self._driver.resume, check_partitions(partitions))

    def close(self) -> None:
        """End a waiting `poll`; a member leaves its group at once. A second `close` waits for the first.

        Records that were polled and not committed are read again by other members.

        Raises:
            UnavailableError: The engine did not answer. The group waits for the end of the session.
        """
        with self._closing:
            if not self._closed:
                self._closed = True
                try:
                    self._guard.once("close", self._driver.close)
                finally:
                    self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self, closed: bool | None = None) -> None:
        if self._ended or closed:
            raise ClosedError(f"this consumer of log {self._guard.name!r} was closed. Open another.")


@blocking()
class LogReader(_Consumer):
    """A consumer of fixed partitions without a group: it reads, and stores nothing. Made by `Log.reader`."""


@blocking()
class LogConsumer(_Consumer):
    """A member of a group, which shares the partitions among its members. Made by `Log.consumer`.

    `poll` and `close` are for one thread at a time (a `close` may come while `poll` waits); the other methods may be
    called from any. Partitions are gained and lost inside `poll`, which calls the call-backs.
    """

    def __init__(self, guard: Guard, log: LogDriver[Any], driver: LogConsumerDriver, *, group: str) -> None:
        super().__init__(guard, log, driver)
        self.group = group

    def commit(
        self, done: Iterable[Record] | Mapping[Partition, int] | None = None, *, wait: bool = True
    ) -> None:
        """Commit the position of the group: the next owner of the partition begins there.

        Args:
            done: Records that are done, whose partitions are committed behind the last of them; or the offset of
                the next record to read, by partition, at most the end; or `None` for the position of each partition.
                An offset before the first record means the first one.
            wait: `False` returns before the engine has stored it, and a crash may lose it.

        Raises:
            ConflictError: A partition moved to another consumer meanwhile. Nothing was committed, and its records
                are read again there. A consumer that did not poll for its session may get this error before
                `on_lost`, which is called inside its next `poll`.
            InvalidArgumentError: *done* is none of these, or an offset is past the end. Nothing was committed.
            UnavailableError: The engine did not answer. Any of the positions may be committed.

        Retries: safe.
        """
        self._check_open()
        offsets = self._offsets(done)
        if offsets:
            commits = {partition: Commit(offset) for partition, offset in offsets.items()}
            self._guard.safe("commit", self._driver.commit, commits, wait=wait)

    def _offsets(self, done: Iterable[Record] | Mapping[Partition, int] | None) -> Mapping[Partition, int]:
        if done is None:
            return {partition: self.position(partition) for partition in self.assignment}
        if isinstance(done, Mapping):
            check_offsets(done)
            # Only here: the positions of consumers and records are within the bounds already.
            check_within(done, self._guard.safe("bounds", self._log.bounds, done.keys()))
            return done
        ends: dict[Partition, int] = {}
        for record in _check_records(done):
            ends[record.partition] = max(record.offset + 1, ends.get(record.partition, 0))
        return ends


class CallBacks(AssignmentListener):
    """The user's functions as a listener."""

    def __init__(
        self,
        on_assigned: PartitionsHandler | None,
        on_revoked: PartitionsHandler | None,
        on_lost: PartitionsHandler | None,
    ) -> None:
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_lost = on_lost

    def assigned(self, partitions: Collection[Partition]) -> None:
        """See `AssignmentListener.assigned`."""
        if self._on_assigned is not None:
            self._on_assigned(frozenset(partitions))

    def revoked(self, partitions: Collection[Partition]) -> None:
        """See `AssignmentListener.revoked`."""
        if self._on_revoked is not None:
            self._on_revoked(frozenset(partitions))

    def lost(self, partitions: Collection[Partition]) -> None:
        """See `AssignmentListener.lost`."""
        if self._on_lost is not None:
            self._on_lost(frozenset(partitions))


def _check_records(records: object) -> list[Record]:
    if isinstance(records, Iterable):
        found = list(cast("Iterable[object]", records))
        if all(isinstance(record, Record) for record in found):
            return cast("list[Record]", found)
    raise InvalidArgumentError(f"{records!r} is not a collection of records: give those that `poll` returned")


def offsets_of(
    guard: Guard, log: LogDriver[Any], partitions: Collection[Partition], to: int | datetime | Start
) -> dict[Partition, int]:
    """Return the offset that *to* means in each of *partitions* that exists.

    Raises:
        InvalidArgumentError: *to* means none, or is past the end of one of them.
        UnsupportedError: *to* is a time, and *log* cannot find positions by time.
    """
    if isinstance(to, datetime):
        return _offsets_at(guard, log, partitions, to)
    if to is Start.KEPT or not isinstance(to, Start | int):
        raise InvalidArgumentError(
            f"{to!r} is not a place in a partition: give an offset, a datetime, Start.BEGINNING or Start.END"
        )
    if isinstance(to, int):
        for partition in partitions:
            check_offset(partition, to)
    bounds = guard.safe("bounds", log.bounds, partitions)
    if isinstance(to, Start):
        return {p: each.first if to is Start.BEGINNING else each.end for p, each in bounds.items()}
    check_within(dict.fromkeys(partitions, to), bounds)
    return {partition: max(each.first, to) for partition, each in bounds.items()}


def _offsets_at(
    guard: Guard, log: LogDriver[Any], partitions: Collection[Partition], to: datetime
) -> dict[Partition, int]:
    support = log.features[LogFeature.SEEK_TIME]
    if not support:
        raise UnsupportedError(
            f"log {guard.name!r}: {type(log).__name__} has no {LogFeature.SEEK_TIME}: {support.note}. "
            "Seek to an offset, or choose a component that has it"
        )
    at = epoch_seconds(to)
    topics = {partition.topic for partition in partitions}
    found = [guard.safe("offsets_at", log.offsets_at, topic, at or 0.0) for topic in topics]
    return {p: offset for each in found for p, offset in each.items() if p in partitions}
