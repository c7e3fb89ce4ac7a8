"""Logs: append, and read by position."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakSet

from capa_core.blocks.log._checks import (
    LEAST_SESSION_S,
    LONGEST_SESSION_S,
    check_name,
    check_offsets,
    check_record,
    check_topics,
    epoch_seconds,
    numbered,
)
from capa_core.blocks.log._consumer import CallBacks, LogConsumer, LogReader, PartitionsHandler, offsets_of
from capa_core.blocks.log.driver import (
    Bounds,
    LogDriver,
    LogFeature,
    LogLimits,
    OutgoingRecord,
    Partition,
    Position,
    Start,
)
from capa_core.blocks.log.inspection import GroupStatus, PartitionStatus, TopicStatus
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.checks import seconds
from capa_core.call.conventions import MESSAGING
from capa_core.call.handlers import check_plain
from capa_core.call.limits import bound, refuse
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import CapaError, InvalidArgumentError, NotFoundError, UnsupportedError

SESSION_S = 30.0
_NO_HEADERS: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class AppendResult:
    """The outcome of one record of a batch: its position, or the error for which it was not stored."""

    position: Position | None
    error: CapaError | None = None

    @property
    def ok(self) -> bool:
        """Whether the record is stored."""
        return self.error is None


class Log(Portable[LogDriver[Any]]):
    """Topics of partitions, whose records stay after they were read. Safe for many threads.

    Delivery is at least once: a retry, here or by the caller, may append a record twice, and a partition that gets
    another owner is read again from the last commit. For messages that are done one by one, use `pubsub`.

        position = log.append("orders", b"...", key=b"42")
        with log.consumer("orders", "billing") as consumer:
            for record in consumer.poll():
                handle(record.value)
            consumer.commit()
    """

    _convention = MESSAGING

    def __init__(
        self, driver: LogDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("log", driver, name, policy)
        self._limits = driver.limits
        self._max_record_bytes = bound(self._limits.max_record_bytes)
        # Weak: a consumer without references is not a leak.
        self._open: WeakSet[LogConsumer | LogReader] = WeakSet()

    @property
    def limits(self) -> LogLimits:
        """The most that the component accepts; larger arguments are refused before they are sent."""
        return self._limits

    def append(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
        timestamp: datetime | float | None = None,
    ) -> Position:
        """Store one record and return its place. It is then as durable as the component can make it.

        Args:
            topic: 1 to 255 printable characters; created by use.
            key: Records with one key stay in order: they go to one partition. `None` spreads them.
            headers: Names to bytes beside the value.
            partition: The number of a partition, in place of the key's.
            timestamp: An aware datetime, or seconds since the epoch within the years 1 to 9999; `None` for now.

        Raises:
            InvalidArgumentError: An argument is outside these. Nothing was stored.
            ExhaustedError: A disk or quota is full. Nothing was stored.
            UnavailableError: The engine did not answer. The record may or may not be stored.

        Retries: at least once; a repeat may store it twice.
        """
        record = OutgoingRecord(value, key, headers or _NO_HEADERS, epoch_seconds(timestamp), partition)
        (result,) = self.append_many(topic, [record])
        if result.position is None:
            raise result.error or AssertionError("an append without place or error")
        return result.position

    def append_many(self, topic: str, records: Sequence[OutgoingRecord | bytes]) -> list[AppendResult]:
        """Store several records, in one trip where the engine can, and return the outcome of each.

        They are stored in order within each partition.

        Raises:
            InvalidArgumentError: One of them is unusable. Nothing was stored.
            UnavailableError: The engine did not answer. Any of them may be stored.

        Retries: at least once for each request; the failures of single records are the caller's.
        """
        check_name("topic", topic)
        checked = [self._checked(record) for record in records]
        most = self._limits.max_batch or max(1, len(checked))
        return [
            AppendResult(None, outcome) if isinstance(outcome, CapaError) else AppendResult(outcome)
            for start in range(0, len(checked), most)
            for outcome in self._guard.safe(
                "append", self._driver.append, topic, checked[start : start + most]
            )
        ]

    def _checked(self, given: OutgoingRecord | bytes) -> OutgoingRecord:
        record = check_record(given if isinstance(given, OutgoingRecord) else OutgoingRecord(given))
        if record.size > self._max_record_bytes:
            refuse(f"log {self.name!r}", "a record", record.size, self._limits, "max_record_bytes")
        return record

    @call_traits(opens=True)
    def consumer(
        self,
        topics: str | Sequence[str],
        group: str = "default",
        *,
        start: Start = Start.BEGINNING,
        session: timedelta | float = SESSION_S,
        on_assigned: PartitionsHandler | None = None,
        on_revoked: PartitionsHandler | None = None,
        on_lost: PartitionsHandler | None = None,
    ) -> LogConsumer:
        """Return a consumer that joins *group* with its first `poll`.

        The group's position exists when this returns.

        Args:
            topics: One topic or several; created by use.
            start: The position at which a new group begins.
            session: A consumer that does not poll for so long loses its partitions: 1 s to 12 h. Kafka's least is 6 s.
                Its next `poll` calls `on_lost`; a `commit` before that raises `ConflictError` for partitions
                that another consumer has taken.
            on_assigned: Called inside `poll` with partitions that were gained; may `seek`.
            on_revoked: Called inside `poll` and `close` with partitions that are about to move; may `commit`.
            on_lost: Called inside `poll` with partitions that have moved; their new owners read the records again.

        Raises:
            InvalidArgumentError: An argument is outside these.
            UnavailableError: The engine did not answer.
        """
        for name, handler in (("on_assigned", on_assigned), ("on_revoked", on_revoked), ("on_lost", on_lost)):
            if handler is not None:
                check_plain(name, handler)
        names = check_topics(topics)
        check_name("group", group)
        given: object = start
        if not isinstance(given, Start):
            raise InvalidArgumentError(f"start is {start!r}: give Start.BEGINNING, Start.END or Start.KEPT")
        session_s = seconds("session", session, least=LEAST_SESSION_S, most=LONGEST_SESSION_S)
        for topic in names:
            self._guard.safe("create_group", self._driver.create_group, topic, group, start)
        listener = CallBacks(on_assigned, on_revoked, on_lost)
        driver = self._guard.once(
            "consume", self._driver.consume, names, group, listener, session_s=session_s, yield_s=session_s
        )
        consumer = LogConsumer(self._guard, self._driver, driver, group=group)
        self._open.add(consumer)
        return consumer

    @call_traits(opens=True)
    def reader(
        self,
        topic: str,
        *,
        partitions: Collection[int] | None = None,
        start: int | datetime | Start = Start.BEGINNING,
    ) -> LogReader:
        """Return a consumer of fixed partitions without a group.

        Args:
            partitions: Their numbers; `None` for all.
            start: An offset, at most the end of each partition; the first record at or after a time; the beginning
                or the end.

        Raises:
            InvalidArgumentError: *start* is not such a position, or past the end of a partition; or *partitions* has
                something else than numbers.
            NotFoundError: The topic, or a partition of it, does not exist.
            UnsupportedError: *start* is a time, and the component cannot find positions by time.
            UnavailableError: The engine did not answer.
        """
        known = self.partitions(topic)
        wanted = known if partitions is None else numbered(topic, partitions)
        if not wanted or not set(wanted) <= set(known):
            raise NotFoundError(
                f"log {self.name!r}: topic {topic!r} has {len(known)} partitions, asked for "
                f"{'all' if partitions is None else sorted(partitions)}. `create_topic` makes one"
            )
        offsets = offsets_of(self._guard, self._driver, wanted, start)
        reader = LogReader(self._guard, self._driver, self._guard.once("read", self._driver.read, offsets))
        self._open.add(reader)
        return reader

    def create_topic(self, topic: str) -> list[Partition]:
        """Return the partitions of *topic*, creating it if it does not exist.

        Appending creates a topic too; a reader needs one that exists.

        Raises:
            UnavailableError: The engine did not answer.

        Retries: safe.
        """
        return self._guard.safe("create_topic", self._driver.create_topic, check_name("topic", topic))

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic once, in no order; topics that are created meanwhile may be missing.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        support = self._features[LogFeature.INSPECT]
        if not support:
            raise UnsupportedError(
                f"log {self.name!r} has no {LogFeature.INSPECT}: {support.note}. Use the engine's own tools."
            )
        return self._listed()

    def summary(self) -> str:
        """See `Portable.summary`."""
        if not self._features[LogFeature.INSPECT]:
            return ""
        return counted(sum(1 for _ in self.topics()), "topic")

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of *topic*; none if it does not exist.

        Raises:
            UnavailableError: The engine did not answer.
        """
        return self._guard.safe("partitions", self._driver.partitions, check_name("topic", topic))

    def bounds(self, topic: str) -> dict[Partition, Bounds]:
        """Return the bounds of each partition; none for a topic that does not exist.

        Raises:
            UnavailableError: The engine did not answer.
        """
        return self._guard.safe("bounds", self._driver.bounds, self.partitions(topic))

    def groups(self, topic: str) -> list[str]:
        """Return the groups that have a position in *topic*.

        Raises:
            UnavailableError: The engine did not answer.
        """
        return self._guard.safe("groups", self._driver.groups, check_name("topic", topic))

    def committed(self, topic: str, group: str = "default") -> dict[Partition, int]:
        """Return the offset of the next record that *group* reads, by partition; none if it does not exist.

        Raises:
            UnavailableError: The engine did not answer.
        """
        check_name("group", group)
        commits = self._guard.safe("committed", self._driver.committed, check_name("topic", topic), group)
        return {partition: commit.offset for partition, commit in commits.items()}

    def lag(self, topic: str, group: str = "default") -> dict[Partition, int]:
        """Return how many records *group* has not committed, by partition; all records if it does not exist.

        It is never negative.

        Raises:
            UnavailableError: The engine did not answer.
        """
        committed = self.committed(topic, group)
        return _lag(self.bounds(topic), committed)

    def inspect(self, topic: str) -> TopicStatus:
        """Return the partitions of *topic* with their bounds, and its groups with position and lag.

        The numbers are read one after the other while others append and commit: a lag may be too large by the
        commits made meanwhile.

        Raises:
            UnavailableError: The engine did not answer.
        """
        committed = {group: self.committed(topic, group) for group in sorted(self.groups(topic))}
        bounds = self.bounds(topic)  # read last: no group is ahead of it
        return TopicStatus(
            name=topic,
            partitions=tuple(
                PartitionStatus(number=partition.number, first=each.first, end=each.end)
                for partition, each in sorted(bounds.items())
            ),
            groups=tuple(
                GroupStatus(
                    name=group,
                    committed={partition.number: offset for partition, offset in sorted(offsets.items())},
                    lag_by_partition={
                        partition.number: lag for partition, lag in sorted(_lag(bounds, offsets).items())
                    },
                )
                for group, offsets in committed.items()
            ),
        )

    def truncate(self, topic: str, before: Mapping[int, int] | None = None) -> None:
        """Remove records permanently, whether they were read or not.

        Args:
            before: By number of the partition, the offset of the first record that stays; `None` removes all. An
                offset past the end means the end.

        Raises:
            UnsupportedError: The component cannot remove records.
            InvalidArgumentError: *before* is something else. Nothing was removed.
            UnavailableError: The engine did not answer. Any of them may be removed.
        """
        support = self._features[LogFeature.TRUNCATE]
        if not support:
            raise UnsupportedError(
                f"log {self.name!r}: {type(self._driver).__name__} has no {LogFeature.TRUNCATE}: {support.note}"
            )
        if before is None:
            offsets = {partition: each.end for partition, each in self.bounds(topic).items()}
        else:
            check_name("topic", topic)
            given: object = before
            if not isinstance(given, Mapping):
                raise InvalidArgumentError(f"before is {before!r}: give offsets by number of the partition")
            offsets = {Partition(topic, number): offset for number, offset in before.items()}
        check_offsets(offsets)
        self._guard.safe("truncate", self._driver.truncate, offsets)

    def close(self) -> None:
        """Close all consumers, then release the engine. A second `close` does nothing."""
        with ExitStack() as steps:  # from the last to the first, each even if others fail
            steps.callback(super().close)
            for user in list(self._open):
                steps.callback(user.close)

    def _listed(self) -> Iterator[str]:
        yield from self._guard.each("topics", self._driver.topics)

    def forget(self) -> None:
        """Drop the state that a fork copied into this child; consumers stay with the parent."""
        self._open = WeakSet()
        super().forget()


def _lag(bounds: Mapping[Partition, Bounds], committed: Mapping[Partition, int]) -> dict[Partition, int]:
    # Other clients of the engine may have committed past the end.
    return {
        partition: max(0, each.end - max(each.first, committed.get(partition, 0)))
        for partition, each in bounds.items()
    }
