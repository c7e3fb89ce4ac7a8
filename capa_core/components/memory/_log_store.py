"""The store of a memory log: partitions, positions and owners under one lock."""

from __future__ import annotations

import itertools
import random
import threading
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from capa_core.blocks.log.driver import Bounds, Commit, OutgoingRecord, Partition, Position, Record, Start
from capa_core.blocks.log.membership import GRACE_S, LogStore, Outcome, Ownership, Share, Turn, share
from capa_core.errors import InvalidArgumentError


class _Records:
    """The records of one partition, from the offset *first* on."""

    __slots__ = ("first", "records")

    def __init__(self) -> None:
        self.first = 0
        self.records: list[Record] = []

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def slice(self, offset: int, most: int) -> list[Record]:
        start = max(0, offset - self.first)
        return self.records[start : start + most]

    def remove_before(self, offset: int) -> None:
        gone = max(0, min(offset, self.end) - self.first)
        self.first += gone
        del self.records[:gone]


@dataclass(slots=True)
class _Member:
    idle_at: float
    dead_at: float


@dataclass(slots=True)
class _Owner:
    member: str
    position: int


class _Group:
    """The group of one topic."""

    def __init__(self, commits: dict[Partition, Commit]) -> None:
        self.commits = commits
        self.owners: dict[Partition, _Owner] = {}
        self.members: dict[str, _Member] = {}

    def remove_dead(self, now: float) -> None:
        for member in [name for name, member in self.members.items() if member.dead_at <= now]:
            self.remove(member)

    def remove(self, member: str) -> None:
        self.members.pop(member, None)
        for partition in self.owned(member):
            del self.owners[partition]

    def owned(self, member: str) -> list[Partition]:
        return [partition for partition, owner in self.owners.items() if owner.member == member]

    def share(self, member: str, now: float) -> Share:
        active = {name for name, other in self.members.items() if other.idle_at > now} | {member}
        return share(member, active, {partition: self._ownership(partition) for partition in self.commits})

    def next_change_s(self, member: str, now: float) -> float:
        """Return the seconds until another member may become idle or dead; an hour if none can."""
        times = (at for name, m in self.members.items() if name != member for at in (m.idle_at, m.dead_at))
        return min((at - now for at in times if at > now), default=3600.0)

    def _ownership(self, partition: Partition) -> Ownership:
        owner = self.owners.get(partition)
        if owner is None:
            return Ownership(None, busy=False)
        return Ownership(owner.member, busy=owner.position > self.commits[partition].offset)


class MemoryLogStore(LogStore):
    """The content of a `MemoryLog`. Safe for many threads."""

    def __init__(self, partitions: int) -> None:
        self._count = partitions
        self._lock = threading.Lock()
        self._topics: dict[str, list[_Records]] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._listeners: set[_Signal] = set()
        self._spread = itertools.count()

    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position]:
        """See `LogDriver.append`."""
        now = time.time()
        with self._lock:
            partitions = self._made(topic)
            numbers = [self._number(record, len(partitions)) for record in records]
            places = []
            for number, record in zip(numbers, records, strict=True):
                partition, held = Partition(topic, number), partitions[number]
                places.append(Position(partition, held.end))
                timestamp = now if record.timestamp is None else record.timestamp
                held.records.append(
                    Record(partition, held.end, record.value, record.key, record.headers, timestamp)
                )
        self.signal([topic])
        return places

    def create_topic(self, topic: str) -> list[Partition]:
        """See `LogDriver.create_topic`."""
        with self._lock:
            self._made(topic)
        return self.partitions(topic)

    def partitions(self, topic: str) -> list[Partition]:
        """See `LogDriver.partitions`."""
        return [Partition(topic, number) for number in range(len(self._topics.get(topic, ())))]

    def topics(self) -> list[str]:
        """Return the names of all topics."""
        with self._lock:
            return list(self._topics)

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """See `LogDriver.bounds`."""
        with self._lock:
            found = {partition: self._find(partition) for partition in partitions}
            return {p: Bounds(held.first, held.end) for p, held in found.items() if held is not None}

    def offsets_at(self, topic: str, timestamp: float) -> dict[Partition, int]:
        """See `LogDriver.offsets_at`."""
        with self._lock:
            return {
                Partition(topic, number): next(
                    (record.offset for record in held.records if record.timestamp >= timestamp), held.end
                )
                for number, held in enumerate(self._topics.get(topic, ()))
            }

    def create_group(self, topic: str, group: str, start: Start) -> None:
        """See `LogDriver.create_group`."""
        with self._lock:
            partitions = self._made(topic)
            if (topic, group) in self._groups:
                return
            at_end = start is Start.END or (start is Start.KEPT and any(t == topic for t, _ in self._groups))
            self._groups[topic, group] = _Group(
                {
                    Partition(topic, number): Commit(held.end if at_end else held.first)
                    for number, held in enumerate(partitions)
                }
            )

    def groups(self, topic: str) -> list[str]:
        """See `LogDriver.groups`."""
        with self._lock:
            return sorted(group for name, group in self._groups if name == topic)

    def committed(self, topic: str, group: str) -> dict[Partition, Commit]:
        """See `LogDriver.committed`."""
        with self._lock:
            found = self._groups.get((topic, group))
            return dict(found.commits) if found else {}

    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """See `LogDriver.truncate`."""
        with self._lock:
            for partition, offset in offsets.items():
                held = self._find(partition)
                if held is not None:
                    held.remove_before(offset)

    def forget(self) -> None:
        """Use a new lock: a thread of the parent may have held the old one."""
        self._lock = threading.Lock()
        self._listeners = set()

    # For consumers

    def fetch(self, positions: Mapping[Partition, int], max_records: int) -> list[Record]:
        """See `LogStore.fetch`."""
        with self._lock:
            return self._fetch(positions, max_records)

    def turn(self, turn: Turn) -> Outcome:
        """See `LogStore.turn`."""
        now = time.monotonic()
        with self._lock:
            groups = [self._groups[topic, turn.group] for topic in turn.topics]
            joins = any(turn.member not in group.members for group in groups)
            shares = []
            for group in groups:
                group.remove_dead(now)
                shares.append(group.share(turn.member, now))
                for partition in shares[-1].claims:
                    group.owners[partition] = _Owner(turn.member, group.commits[partition].offset)
            claimed = frozenset(partition for part in shares for partition in part.claims)
            surplus = [partition for part in shares for partition in part.surplus]
            records = self._fetch_owned(groups, turn, claimed.union(surplus))
            waits_s = 0.0 if records else turn.waits_s
            for group in groups:
                group.members[turn.member] = _Member(now + waits_s + GRACE_S, now + waits_s + turn.session_s)
            outcome = Outcome(
                records=records,
                claimed=claimed,
                owned=frozenset(p for group in groups for p in group.owned(turn.member)),
                surplus=surplus,
                draining=[partition for part in shares for partition in part.draining],
                again_s=min(group.next_change_s(turn.member, now) for group in groups),
            )
        if joins:
            self.signal(turn.topics)
        return outcome

    def give_up(self, group: str, member: str, partitions: Collection[Partition]) -> None:
        """See `LogStore.give_up`."""
        with self._lock:
            for partition in partitions:
                owners = self._groups[partition.topic, group].owners
                if partition in owners and owners[partition].member == member:
                    del owners[partition]
        self.signal(list({partition.topic for partition in partitions}))

    def leave(self, group: str, member: str, topics: Sequence[str]) -> None:
        """See `LogStore.leave`."""
        with self._lock:
            for topic in topics:
                self._groups[topic, group].remove(member)
        self.signal(topics)

    def position(self, group: str, member: str, partition: Partition) -> int | None:
        """See `LogStore.position`."""
        with self._lock:
            owner = self._owner(group, member, partition)
            return None if owner is None else owner.position

    def seek(self, group: str, member: str, partition: Partition, offset: int) -> bool:
        """See `LogStore.seek`."""
        with self._lock:
            owner = self._owner(group, member, partition)
            if owner is not None:
                owner.position = offset
        self.signal([partition.topic])
        return owner is not None

    def commit(self, group: str, member: str, offsets: Mapping[Partition, Commit], *, wait: bool) -> bool:
        """See `LogStore.commit`."""
        del wait
        with self._lock:
            if any(self._owner(group, member, partition) is None for partition in offsets):
                return False
            for partition, commit in offsets.items():
                self._groups[partition.topic, group].commits[partition] = commit
        return True

    @contextmanager
    def listen(self, topics: Sequence[str]) -> Iterator[_Signal]:
        """See `LogStore.listen`."""
        signal = _Signal(frozenset(topics))
        with self._lock:
            self._listeners.add(signal)
        try:
            yield signal
        finally:
            with self._lock:
                self._listeners.discard(signal)

    def signal(self, topics: Sequence[str]) -> None:
        """See `LogStore.signal`."""
        with self._lock:
            for listener in self._listeners:
                if not listener.topics.isdisjoint(topics):
                    listener.wake()

    # With the lock held

    def _made(self, topic: str) -> list[_Records]:
        return self._topics.setdefault(topic, [_Records() for _ in range(self._count)])

    def _number(self, record: OutgoingRecord, count: int) -> int:
        if record.partition is not None:
            if not 0 <= record.partition < count:
                raise InvalidArgumentError(
                    f"partition {record.partition} does not exist: there are 0 to {count - 1}"
                )
            return record.partition
        return (next(self._spread) if record.key is None else zlib.crc32(record.key)) % count

    def _find(self, partition: Partition) -> _Records | None:
        held = self._topics.get(partition.topic, ())
        return held[partition.number] if partition.number < len(held) else None

    def _owner(self, group: str, member: str, partition: Partition) -> _Owner | None:
        found = self._groups.get((partition.topic, group))
        owner = found.owners.get(partition) if found else None
        return owner if owner is not None and owner.member == member else None

    def _fetch(self, positions: Mapping[Partition, int], max_records: int) -> list[Record]:
        records: list[Record] = []
        for partition, offset in positions.items():
            held = self._find(partition)
            if held is not None and len(records) < max_records:
                records += held.slice(offset, max_records - len(records))
        return records

    def _fetch_owned(
        self, groups: Sequence[_Group], turn: Turn, without: Collection[Partition]
    ) -> list[Record]:
        owners = {
            partition: owner
            for group in groups
            for partition, owner in group.owners.items()
            if owner.member == turn.member and partition in turn.fetch and partition not in without
        }
        order = list(owners)
        random.shuffle(order)  # a full partition must not starve the others
        records = self._fetch({p: owners[p].position for p in order}, turn.max_records)
        for record in records:
            owners[record.partition].position = record.offset + 1
        return records


class _Signal(threading.Event):
    """Wakes one waiting consumer."""

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self.topics = topics

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a signal since the last wait."""
        came = super().wait(timeout)
        self.clear()
        return came

    def wake(self) -> None:
        """End the wait, now or as soon as it begins."""
        self.set()
