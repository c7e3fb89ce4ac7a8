"""Consumer groups for log engines that have none of their own: fair, sticky, and without a pause of all members.

Each consumer decides for itself, in one transaction of the engine at each `poll`: it shows that it is alive, gives up
partitions above its share, and claims free ones. Partitions are

- *busy*, with records that were polled and not committed: they stay until their owner has not polled for its session;
- *idle*: they move to a consumer that polls as soon as their owner has not polled for `GRACE_S`.

An engine implements `LogStore` and uses `GroupConsumer` and `Reader` as they are.
"""

from __future__ import annotations

import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from capa_core.blocks.log.driver import AssignmentListener, Commit, LogConsumerDriver, Partition, Record
from capa_core.errors import ConflictError, UnsupportedError

GRACE_S = 0.3
RECHECK_S = 0.5


class Ownership(NamedTuple):
    """A partition as a member sees it: *owner* is `None` also if the owner is dead."""

    owner: str | None
    busy: bool


class Share(NamedTuple):
    """The partitions that a member has to claim, give up or drain."""

    claims: list[Partition]
    surplus: list[Partition]
    draining: list[Partition]
    """Surplus that is busy: no more records are polled from it, and it is given up when it is idle."""


def share(me: str, active: Collection[str], owned: Mapping[Partition, Ownership]) -> Share:
    """Return the share of *me* in the partitions of one topic.

    Args:
        active: The members that have polled within `GRACE_S`, *me* included. The others keep only busy partitions.
    """
    counts = dict.fromkeys(active, 0)
    for ownership in owned.values():
        if ownership.owner in counts:
            counts[ownership.owner] += 1
    kept = sum(o.owner is not None and o.owner not in counts and o.busy for o in owned.values())
    least, more = divmod(len(owned) - kept, len(counts))
    # The largest owners get the remainder: the fewest partitions move.
    rank = sorted(counts, key=lambda member: (-counts[member], member)).index(me)
    quota = least + (rank < more)
    mine = [partition for partition, ownership in owned.items() if ownership.owner == me]
    if len(mine) > quota:
        over = sorted(mine, key=lambda partition: (owned[partition].busy, -partition.number))
        over = over[: len(mine) - quota]
        return Share([], [p for p in over if not owned[p].busy], [p for p in over if owned[p].busy])
    free = [p for p, o in owned.items() if o.owner is None or (o.owner not in counts and not o.busy)]
    return Share(sorted(free)[: quota - len(mine)], [], [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A consumer's request in one transaction.

    Attributes:
        fetch: Partitions to read from, as far as they are still its own.
        waits_s: For how long it will wait if there is nothing to read.
    """

    group: str
    topics: Sequence[str]
    member: str
    session_s: float
    fetch: Collection[Partition]
    max_records: int
    waits_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to a `Turn`.

    Attributes:
        claimed: Partitions that became the consumer's in this turn; of those nothing was fetched yet.
        owned: All its partitions, the claimed ones included.
        surplus: Idle ones that it has to give up.
        draining: Busy ones that it has to give up.
        again_s: Seconds until there may be something to claim.
    """

    records: list[Record]
    claimed: frozenset[Partition]
    owned: frozenset[Partition]
    surplus: list[Partition]
    draining: list[Partition]
    again_s: float


class Waiter(Protocol):
    """Waits for a signal."""

    def wait(self, timeout_s: float) -> object:
        """Return at a signal since the last wait, or after *timeout_s*."""


class LogStore(ABC):
    """The part that an engine implements. Each method is one transaction."""

    @abstractmethod
    def fetch(self, positions: Mapping[Partition, int], max_records: int) -> list[Record]:
        """Return records from these positions on."""

    @abstractmethod
    def turn(self, turn: Turn) -> Outcome:
        """Show that the member is alive, claim by `share`, and fetch, moving the positions past the fetched records.

        A member that fetched something has polled now; one that did not polls until the end of `waits_s`.
        """

    @abstractmethod
    def give_up(self, group: str, member: str, partitions: Collection[Partition]) -> None:
        """Free those of *partitions* that are the member's, and signal their topics."""

    @abstractmethod
    def leave(self, group: str, member: str, topics: Sequence[str]) -> None:
        """Remove the member and free its partitions, and signal the topics."""

    @abstractmethod
    def position(self, group: str, member: str, partition: Partition) -> int | None:
        """Return where the member reads on; `None` if the partition is not its own."""

    @abstractmethod
    def seek(self, group: str, member: str, partition: Partition, offset: int) -> bool:
        """Move the position; `False` if the partition is not the member's."""

    @abstractmethod
    def commit(self, group: str, member: str, offsets: Mapping[Partition, Commit], *, wait: bool) -> bool:
        """Commit all, or nothing and return `False` if one of the partitions is not the member's."""

    @abstractmethod
    def listen(self, topics: Sequence[str]) -> AbstractContextManager[Waiter]:
        """Hear of appends and of changes of groups from now on."""

    @abstractmethod
    def signal(self, topics: Sequence[str]) -> None:
        """Wake all listeners."""


class _Polling(LogConsumerDriver):
    """The loop of `poll`, with paused partitions."""

    def __init__(self, store: LogStore, topics: Sequence[str]) -> None:
        self._store = store
        self._topics = topics
        self._paused: set[Partition] = set()
        self._polling = threading.RLock()  # a call-back may close
        self._closed = False

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """See `LogConsumerDriver.poll`."""
        with self._polling:
            return self._poll(max_records, timeout_s)

    def pause(self, partitions: Collection[Partition]) -> None:
        """See `LogConsumerDriver.pause`."""
        self._paused |= set(partitions) & self.assignment()

    def resume(self, partitions: Collection[Partition]) -> None:
        """See `LogConsumerDriver.resume`."""
        self._paused -= set(partitions)
        self._store.signal(self._topics)

    def close(self) -> None:
        """See `LogConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        self._store.signal(self._topics)
        with self._polling:
            self._leave()

    def _poll(self, max_records: int, timeout_s: float) -> list[Record]:
        end = time.monotonic() + timeout_s
        records, again_s = self._look(max_records, 0.0)
        if records or (timeout_s <= 0 and again_s > 0):
            return records
        with self._store.listen(
            self._topics
        ) as waiter:  # listen, then look, then wait: so no change is missed
            while not self._closed:
                left_s = max(0.0, end - time.monotonic())
                records, again_s = self._look(max_records, min(RECHECK_S, left_s))
                if records or (not left_s and again_s > 0):
                    return records
                waiter.wait(min(RECHECK_S, again_s, left_s))
        return []

    def _readable(self) -> set[Partition]:
        return set(self.assignment() - self._paused)

    @abstractmethod
    def _look(self, max_records: int, waits_s: float) -> tuple[list[Record], float]:
        """Return records, and the seconds until it is worth to look again: 0 for at once."""

    @abstractmethod
    def _leave(self) -> None:
        """Give up everything."""


class GroupConsumer(_Polling):
    """A member of a group, kept by a `LogStore`."""

    def __init__(
        self,
        store: LogStore,
        topics: Sequence[str],
        group: str,
        listener: AssignmentListener,
        *,
        session_s: float,
        yield_s: float | None,
    ) -> None:
        super().__init__(store, topics)
        self._group = group
        self._listener = listener
        self._session_s = session_s
        self._yield_s = yield_s
        self._member = uuid.uuid4().hex
        self._assigned: frozenset[Partition] = frozenset()
        self._draining: set[Partition] = set()
        self._draining_since = 0.0
        self._undelivered: list[Record] = []

    def assignment(self) -> frozenset[Partition]:
        """See `LogConsumerDriver.assignment`."""
        return self._assigned

    def position(self, partition: Partition) -> int:
        """See `LogConsumerDriver.position`."""
        found = self._store.position(self._group, self._member, partition)
        if found is None:
            raise self._not_ours([partition])
        return found

    def seek(self, partition: Partition, offset: int) -> None:
        """See `LogConsumerDriver.seek`."""
        if not self._store.seek(self._group, self._member, partition, offset):
            raise self._not_ours([partition])

    def commit(self, offsets: Mapping[Partition, Commit], *, wait: bool = True) -> None:
        """See `LogConsumerDriver.commit`."""
        if not self._store.commit(self._group, self._member, offsets, wait=wait):
            raise self._not_ours(offsets)

    def _look(self, max_records: int, waits_s: float) -> tuple[list[Record], float]:
        if self._undelivered:
            records, self._undelivered = (
                self._undelivered[:max_records],
                self._undelivered[max_records:],
            )
            return records, RECHECK_S
        outcome = self._store.turn(
            Turn(
                group=self._group,
                topics=self._topics,
                member=self._member,
                session_s=self._session_s,
                fetch=self._readable() - self._draining,
                max_records=max_records,
                waits_s=waits_s,
            )
        )
        try:
            changed = self._follow(outcome)
        except BaseException:  # of a call-back: the positions are behind the records already
            self._undelivered = [record for record in outcome.records if record.partition in self._assigned]
            raise
        return outcome.records, 0.0 if changed else outcome.again_s

    def _follow(self, outcome: Outcome) -> bool:
        """Follow the assignment; return whether it has changed."""
        # A partition may have gone to another consumer and come back between two turns.
        lost = self._assigned - (outcome.owned - outcome.claimed)
        gained = outcome.owned - (self._assigned - lost)
        self._assigned = outcome.owned
        self._paused -= lost
        if lost:
            self._listener.lost(lost)
        if gained:
            try:
                self._listener.assigned(gained)
            except BaseException:
                self._assigned -= gained  # so that the next turn calls it again, before a record is fetched
                raise
        return self._give_up(outcome) or bool(lost or gained)

    def _give_up(self, outcome: Outcome) -> bool:
        surplus = list(outcome.surplus)
        now = time.monotonic()
        if not outcome.draining or not self._draining:
            self._draining_since = now
        elif self._yield_s is not None and now - self._draining_since >= self._yield_s:
            surplus += outcome.draining
        self._draining = set(outcome.draining) - set(surplus)
        if self._draining:
            self._listener.wanted(frozenset(self._draining))
        if surplus:
            self._revoke(frozenset(surplus))
        return bool(surplus)

    def _revoke(self, partitions: frozenset[Partition]) -> None:
        """Give up after the call-back, which may still commit."""
        self._listener.revoked(partitions)
        self._assigned -= partitions
        self._paused -= partitions
        self._store.give_up(self._group, self._member, partitions)

    def _leave(self) -> None:
        if self._assigned:
            self._revoke(self._assigned)
        self._store.leave(self._group, self._member, self._topics)

    def _not_ours(self, partitions: Collection[Partition]) -> ConflictError:
        return ConflictError(
            f"{', '.join(f'{topic}/{number}' for topic, number in partitions)}: not all are this consumer's in "
            f"group {self._group!r} any more, and nothing was done. Their records come again to the new owners"
        )


class Reader(_Polling):
    """A consumer without a group, whose positions are its own."""

    def __init__(self, store: LogStore, offsets: Mapping[Partition, int]) -> None:
        super().__init__(store, sorted({partition.topic for partition in offsets}))
        self._positions = dict(offsets)

    def assignment(self) -> frozenset[Partition]:
        """See `LogConsumerDriver.assignment`."""
        return frozenset(self._positions)

    def position(self, partition: Partition) -> int:
        """See `LogConsumerDriver.position`."""
        return self._positions[self._ours(partition)]

    def seek(self, partition: Partition, offset: int) -> None:
        """See `LogConsumerDriver.seek`."""
        self._positions[self._ours(partition)] = offset

    def commit(self, offsets: Mapping[Partition, Commit], *, wait: bool = True) -> None:
        """Refuse: there is no group to commit for."""
        del offsets, wait
        raise UnsupportedError("a reader has no group to commit for. Open a consumer of a group")

    def _look(self, max_records: int, waits_s: float) -> tuple[list[Record], float]:
        del waits_s
        wanted = {partition: self._positions[partition] for partition in self._readable()}
        records = self._store.fetch(wanted, max_records)
        for partition, end in {record.partition: record.offset + 1 for record in records}.items():
            if (
                self._positions[partition] == wanted[partition]
            ):  # else another thread has called `seek` meanwhile
                self._positions[partition] = end
        return records, RECHECK_S

    def _leave(self) -> None:
        """Do nothing: there is nothing to leave."""

    def _ours(self, partition: Partition) -> Partition:
        if partition not in self._positions:
            raise ConflictError(
                f"{partition.topic}/{partition.number} is not one of this reader's partitions"
            )
        return partition
