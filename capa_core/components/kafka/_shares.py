"""The partitions of one consumer, as its users see them: between the threads that poll Kafka and those that call here.

    Kafka ──▶ assigned ──▶ new ──▶ announced ──▶ returned by `take`
                              revoked ──▶ wanted ──▶ given up, when all returned records are committed
                              lost    ──▶ told of in the next `poll`

All state is under `changed`, which is never held while Kafka or a listener is called.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from capa_core.blocks.log.driver import Commit, Partition, Record
from capa_core.clocks import boot_time
from capa_core.errors import ConflictError

_REST_S = 0.3


@dataclass(slots=True)
class Share:
    """One partition.

    Attributes:
        fetched: Records that were not returned yet.
        position: The offset of the next record to return; `None` before the first.
        committed: The last committed offset; 0 before the first commit.
        announced: Whether the users know of it.
        wanted: Whether it is due to another consumer.
        paused: Whether the users paused it.
        rests: Whether Kafka's client has paused it.
        seeks: Whether the client must still go to *position*: what it fetched before is dropped.
        at_end: Whether all records have been fetched that there were when Kafka last told.
        floor: The offset of the first record that was not removed here.
    """

    fetched: deque[Record] = field(default_factory=deque)
    position: int | None = None
    committed: int = 0
    announced: bool = False
    wanted: bool = False
    paused: bool = False
    rests: bool = False
    seeks: bool = False
    at_end: bool = False
    floor: int = 0

    @property
    def is_open(self) -> bool:
        """Whether a returned record is not committed."""
        return self.position is not None and self.position > self.committed

    @property
    def is_served(self) -> bool:
        """Whether its records may be returned."""
        return bool(self.fetched) and self.announced and not self.paused and not self.wanted


class Shares:
    """The partitions of one consumer, which must poll each *session_s*."""

    def __init__(self, session_s: float) -> None:
        self.changed = threading.Condition()
        self.session_s = session_s
        self.closing = False
        self._of: dict[Partition, Share] = {}
        self._lost: list[Partition] = []
        self._joined: set[str] = set()
        self._polled: float | None = None
        self._polling = 0
        self._turn = 0

    # The life of the consumer

    def begin_poll(self) -> None:
        """Note that the consumer polls; it has lost its partitions if it has not for its session."""
        with self.changed:
            if self._polled is not None and self.is_stale():
                self._drop(list(self._of))
            self._polling += 1
            self._polled = boot_time()
            self.changed.notify_all()

    def end_poll(self) -> None:
        """Note the end of a poll."""
        with self.changed:
            self._polling -= 1
            self._polled = boot_time()

    def is_stale(self) -> bool:
        """Return whether the consumer has not polled for its session, or not at all."""
        if self._polling:
            return False
        return self._polled is None or boot_time() - self._polled > self.session_s

    @property
    def is_polling(self) -> bool:
        """Whether the consumer polls at present."""
        return self._polling > 0

    def rests(self, topic: str) -> bool:
        """Return whether the consumer neither polls, nor has since a moment, nor works on records of *topic*."""
        with self.changed:
            polls = self._polling or self._polled is None or boot_time() - self._polled < _REST_S
            return not polls and not any(
                share.is_open for partition, share in self._of.items() if partition.topic == topic
            )

    # Called by the threads that poll Kafka

    def add(self, partitions: Iterable[Partition], *, announced: bool = False) -> None:
        """Take over *partitions*."""
        with self.changed:
            for partition in partitions:
                self._of[partition] = Share(announced=announced)
            self.changed.notify_all()

    def want(self, partitions: Iterable[Partition]) -> None:
        """Ask for *partitions*, which are due to another consumer; those that nobody knows of are given up at once."""
        with self.changed:
            for partition in partitions:
                share = self._of.get(partition)
                if share is not None and share.announced:
                    share.wanted = True
                    share.fetched.clear()
                else:
                    self._of.pop(partition, None)
            self.changed.notify_all()

    def has_any(self, partitions: Iterable[Partition]) -> bool:
        """Return whether one of *partitions* is not given up."""
        return any(partition in self._of for partition in partitions)

    def drop_idle(self, partitions: Iterable[Partition]) -> None:
        """Give up those of *partitions* that the consumer, which does not poll, has no open records of."""
        with self.changed:
            if not self._polling:
                self._drop([p for p in partitions if p in self._of and not self._of[p].is_open])

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Give up *partitions*, which are lost."""
        with self.changed:
            self._drop(partitions)
            self.changed.notify_all()

    def put(self, partition: Partition, records: Iterable[Record]) -> None:
        """Add fetched *records*; those that come from before a seek are dropped."""
        with self.changed:
            share = self._of.get(partition)
            if share is not None and not share.seeks and not share.wanted:
                share.fetched.extend(record for record in records if record.offset >= share.floor)
                share.at_end = False
                self.changed.notify_all()

    def reach_end(self, partition: Partition) -> None:
        """Note that all records of *partition* have been fetched."""
        with self.changed:
            if partition in self._of:
                self._of[partition].at_end = True
                self.changed.notify_all()

    def join(self, topic: str) -> None:
        """Note that the group has said which partitions of *topic* are this consumer's, if any."""
        with self.changed:
            self._joined.add(topic)
            self.changed.notify_all()

    def leave(self, topic: str) -> None:
        """Note that this consumer has left the group of *topic*."""
        with self.changed:
            self._joined.discard(topic)

    def ready(self, topic: str) -> int:
        """Return how many records of *topic* are fetched and can be returned, as those that are paused cannot."""
        with self.changed:
            return sum(
                len(share.fetched)
                for partition, share in self._of.items()
                if partition.topic == topic and not share.paused
            )

    def of_topic(self, topic: str) -> dict[Partition, Share]:
        """Return the partitions of *topic*."""
        with self.changed:
            return {partition: share for partition, share in self._of.items() if partition.topic == topic}

    # Called by the users

    def announced(self) -> frozenset[Partition]:
        """Return the partitions that the users know of."""
        with self.changed:
            return frozenset(partition for partition, share in self._of.items() if share.announced)

    def get(self, partition: Partition) -> Share:
        """Return the state of *partition*.

        Raises:
            ConflictError: It is not this consumer's.
        """
        share = self._of.get(partition)
        if share is None or not share.announced:
            raise ConflictError(f"{partition.topic}/{partition.number} is not this consumer's (any more)")
        return share

    def position(self, partition: Partition) -> int | None:
        """Return the offset of the next record of *partition*; `None` if none was fetched yet.

        Raises:
            ConflictError: It is not this consumer's.
        """
        with self.changed:
            share = self.get(partition)
            return share.fetched[0].offset if share.position is None and share.fetched else share.position

    def take_lost(self) -> list[Partition]:
        """Return the partitions that were lost since the last call."""
        with self.changed:
            lost, self._lost = self._lost, []
            return lost

    def announce(self) -> list[Partition]:
        """Return the partitions that are new, and known from now on."""
        with self.changed:
            new = [partition for partition, share in self._of.items() if not share.announced]
            for partition in new:
                self._of[partition].announced = True
            return new

    def wanted(self) -> list[Partition]:
        """Return the partitions that are due to others."""
        with self.changed:
            return [partition for partition, share in self._of.items() if share.wanted]

    def free(self) -> list[Partition]:
        """Return the partitions that are due to others and have no open records."""
        with self.changed:
            return [p for p, share in self._of.items() if share.wanted and not share.is_open]

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """Give up *partitions*."""
        with self.changed:
            for partition in partitions:
                self._of.pop(partition, None)
            self.changed.notify_all()

    def take(self, most: int) -> list[Record]:
        """Return up to *most* records, of another partition first than the last time."""
        with self.changed:
            served = [share for share in self._of.values() if share.is_served]
            self._turn += 1
            taken: list[Record] = []
            for place in range(len(served)):
                share = served[(self._turn + place) % len(served)]
                count = min(most - len(taken), len(share.fetched))
                if count:
                    taken += [share.fetched.popleft() for _ in range(count)]
                    share.position = taken[-1].offset + 1
            return taken

    def is_due(self) -> bool:
        """Return whether `poll` has something to return or to tell. The caller holds `changed`."""
        return bool(self._lost) or any(
            share.is_served or not share.announced or (share.wanted and not share.is_open)
            for share in self._of.values()
        )

    def is_settled(self, topics: Collection[str]) -> bool:
        """Return whether all is fetched that there is in *topics* for this consumer. The caller holds `changed`."""
        return self._joined.issuperset(topics) and all(
            share.at_end or share.paused or share.wanted for share in self._of.values()
        )

    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """Drop fetched records before *offsets*, which were removed."""
        with self.changed:
            for partition, offset in offsets.items():
                if (share := self._of.get(partition)) is not None:
                    share.floor = offset
                    while share.fetched and share.fetched[0].offset < offset:
                        share.fetched.popleft()

    def note_commits(self, offsets: Mapping[Partition, Commit]) -> None:
        """Note that *offsets* are committed."""
        with self.changed:
            for partition, commit in offsets.items():
                if partition in self._of:
                    self._of[partition].committed = commit.offset
            self.changed.notify_all()

    def set_paused(self, partitions: Collection[Partition], *, paused: bool) -> None:
        """Pause or resume those of *partitions* that are this consumer's."""
        with self.changed:
            for partition in partitions:
                if partition in self._of:
                    self._of[partition].paused = paused
            self.changed.notify_all()

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on from *offset*.

        Raises:
            ConflictError: The partition is not this consumer's.
        """
        with self.changed:
            share = self.get(partition)
            share.position = offset
            share.fetched.clear()
            share.seeks = not share.wanted
            share.at_end = False

    def _drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            share = self._of.pop(partition, None)
            if share is not None and share.announced:
                self._lost.append(partition)
