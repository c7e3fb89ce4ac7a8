"""The contract of a log engine: append records to partitions, and let the consumers of a group share the partitions.

A record has a place, its partition and offset, and stays there after it was read. A group's progress is one
committed offset for each partition. Kafka is the model; anything that can number records can serve.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT
from capa_core.errors import CapaError

LONGEST_NAME = 255


class LogFeature(Feature):
    """Abilities of a log."""

    GROUPS = ("groups", Level.ALWAYS)
    """Consumers of one group share the partitions; each group has a position of its own."""
    SEEK_TIME = ("seek_time", Level.COMMON)
    """A position can be found by time."""
    TRUNCATE = ("truncate", Level.COMMON)
    """Records before an offset can be removed."""
    SHARED = ("shared", Level.COMMON)
    """Several processes append to and read from the same topics."""
    DURABLE = ("durable", Level.COMMON)
    """An appended record and a committed offset survive a crash of the process and of the machine."""
    INSPECT = ("inspect", Level.COMMON)
    """Topics can be listed; the groups, bounds and lag of each can be read anyway."""


class Start(Enum):
    """The position at which a new group, or a reader, begins."""

    BEGINNING = "beginning"
    """The oldest record."""
    END = "end"
    """The first record appended from now on."""
    KEPT = "kept"
    """The beginning for the first group of a topic, the end for each later one, as in pub/sub. Not for readers."""


class Partition(NamedTuple):
    """One partition of a topic; *number* counts from 0."""

    topic: str
    number: int


class Position(NamedTuple):
    """The position of one record."""

    partition: Partition
    offset: int


class Bounds(NamedTuple):
    """The records that a partition holds: from *first* up to, and without, *end*."""

    first: int
    end: int


class Commit(NamedTuple):
    """A group's position in one partition: *offset* is the next record to read; *note* is the consumer's own text.

    The note is at most 4,000 characters of ASCII.
    """

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """The most that a component accepts; `None` where no limit is known.

    Attributes:
        max_name_length: In characters, of topics and groups; the same on every component.
        max_record_bytes: Of one record: value, key and headers together.
        max_batch: Records in one request to the engine; the core sends several requests for more.
    """

    max_name_length: int = LONGEST_NAME
    max_record_bytes: int | None = None
    max_batch: int | None = None


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record on its way to the engine.

    Attributes:
        key: Records with one key go to one partition; `None` spreads them evenly.
        headers: Printable names to bytes, stored beside the value.
        timestamp: Seconds since the epoch; `None` for now, by the clock of the engine or of this process.
        partition: The number of the partition, in place of the key's; `None` leaves the choice to the engine.
    """

    value: bytes
    key: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    timestamp: float | None = None
    partition: int | None = None

    @property
    def size(self) -> int:
        """The bytes of value, key and headers together."""
        headers = sum(len(name.encode()) + len(value) for name, value in self.headers.items())
        return len(self.value) + len(self.key or b"") + headers


class Record(NamedTuple):
    """A record as it was read; the fields are those of `OutgoingRecord`, and its position."""

    partition: Partition
    offset: int
    value: bytes
    key: bytes | None
    headers: Mapping[str, bytes]
    timestamp: float


class AssignmentListener:
    """Call-backs for changes of a consumer's partitions. All do nothing by default.

    They are called inside `poll` and `close`, on the thread that called it, and may call the consumer's other methods.
    """

    def wanted(self, partitions: Collection[Partition]) -> None:
        """Called for *partitions* that are due to others, and stay until their polled records are committed.

        Called at each `poll` until then, by engines that can wait. A consumer that has not begun to handle them can
        `seek` back to the commit.
        """

    def assigned(self, partitions: Collection[Partition]) -> None:
        """Called for new partitions, before their first record is returned. May `seek`."""

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Called for *partitions* that move to other consumers when this returns. The last chance to `commit`."""

    def lost(self, partitions: Collection[Partition]) -> None:
        """Called for *partitions* that have moved to other consumers; a `commit` fails."""


class LogConsumerDriver(ABC):
    """One consumer, with the partitions that are its own at present.

    `poll` and `close` are for one thread at a time; `close` may come from another while `poll` waits. The other
    methods may be called from any thread.
    """

    @abstractmethod
    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return 1 to *max_records* records, in order within each partition, or none after *timeout_s*.

        Must return as soon as there is one, and must be woken by `close`. Moves the position behind the records
        returned. Partitions are gained and lost here and nowhere else: a consumer that does not poll for its
        `session_s` is taken for dead. With all partitions paused it returns none, and the consumer counts as alive.
        """

    @abstractmethod
    def assignment(self) -> frozenset[Partition]:
        """Return the partitions that are this consumer's, as far as the last `poll` knew."""

    @abstractmethod
    def position(self, partition: Partition) -> int:
        """Return the offset of the next record that `poll` reads. Raise `ConflictError` for one that is not its own."""

    @abstractmethod
    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from *offset*, or from the nearest existing record. Raise `ConflictError` for one not its own.

        The core gives no offset past the end.
        """

    @abstractmethod
    def pause(self, partitions: Collection[Partition]) -> None:
        """Return no more records of *partitions* from `poll`, and keep them. Those that are not its own are ignored."""

    @abstractmethod
    def resume(self, partitions: Collection[Partition]) -> None:
        """End `pause`. A partition that was lost and comes back is not paused either."""

    @abstractmethod
    def commit(self, offsets: Mapping[Partition, Commit], *, wait: bool = True) -> None:
        """Commit *offsets* as the position of the group.

        Must raise `ConflictError`, and commit nothing, if one of the partitions is not this consumer's any more.
        The core gives no offset past the end.
        With *wait* it is as durable as the engine can when this returns; without, a crash may lose it, and
        a later call may raise the error. A reader has no group: `UnsupportedError`.
        """

    @abstractmethod
    def close(self) -> None:
        """Call `revoked` for the assigned partitions, end a waiting `poll`, and leave the group at once.

        A second `close` does nothing.
        """


class LogDriver(Driver[SettingsT]):
    """Topics are created by use, with the number of partitions in the settings; groups by `create_group`."""

    @property
    def limits(self) -> LogLimits:
        """The most that the engine accepts. Read once, before anything is opened."""
        return LogLimits()

    @abstractmethod
    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position | CapaError]:
        """Store *records*, in order within each partition; return the position, or the error, of each.

        Must return only when the records are as durable as the settings promise. Must raise, rather than return,
        an error that concerns the whole batch.
        """

    @abstractmethod
    def create_topic(self, topic: str) -> list[Partition]:
        """Return the partitions of *topic*, creating it if it does not exist."""

    @abstractmethod
    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of *topic*; none if it does not exist. Must not create it."""

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic once, in no order. INSPECT.

        It *must not* hold a lock or a connection between two names.
        """
        raise NotImplementedError

    @abstractmethod
    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """Return the bounds of those of *partitions* that exist."""

    @abstractmethod
    def offsets_at(self, topic: str, timestamp: float) -> dict[Partition, int]:
        """Return for each partition the offset of the first record at or after *timestamp*; the end if there is none.

        Only called if SEEK_TIME is declared.
        """

    @abstractmethod
    def create_group(self, topic: str, group: str, start: Start) -> None:
        """Commit *start* for each partition, creating the topic if necessary; do nothing for a group that exists."""

    @abstractmethod
    def groups(self, topic: str) -> list[str]:
        """Return the groups that have a position in *topic*."""

    @abstractmethod
    def committed(self, topic: str, group: str) -> dict[Partition, Commit]:
        """Return the position of *group* in each partition; empty if it does not exist."""

    @abstractmethod
    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """Remove all records before the offset given; an offset past the end means the end.

        Groups with an earlier position go on from there. Only called if TRUNCATE is declared.
        """

    @abstractmethod
    def consume(
        self,
        topics: Sequence[str],
        group: str,
        listener: AssignmentListener,
        *,
        session_s: float,
        yield_s: float | None,
    ) -> LogConsumerDriver:
        """Return a consumer that joins *group* at its first `poll`. The group exists in each of *topics*.

        Args:
            session_s: Seconds without a `poll` after which its partitions move to the others, 1 to 43,200. An engine
                with a longer least session may use that.
            yield_s: Seconds for which a partition that is due to another consumer may stay with this one because
                records of it were polled and not committed; `None` for as long as that takes. No new records of
                it are polled meanwhile. An engine whose protocol does not wait ignores it.
        """

    @abstractmethod
    def read(self, offsets: Mapping[Partition, int]) -> LogConsumerDriver:
        """Return a consumer without a group, whose partitions are those given, from these offsets on."""
