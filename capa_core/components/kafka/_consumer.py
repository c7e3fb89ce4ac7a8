"""Consumers of the log: members of a group in one topic or several, and readers."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping

from confluent_kafka import KafkaError

from capa_core.blocks.log.driver import (
    AssignmentListener,
    Bounds,
    Commit,
    LogConsumerDriver,
    Partition,
    Record,
)
from capa_core.components.kafka._member import BATCH, Member
from capa_core.components.kafka._shares import Shares
from capa_core.errors import ConflictError, UnsupportedError

BoundsOf = Callable[[Collection[Partition]], Mapping[Partition, Bounds]]


class _Consumer(LogConsumerDriver):
    """The part that members and readers share.

    Args:
        members: One for each topic.
        alive: Raises the error by which the cluster does not answer; called where nothing came after trouble.
        within_s: Seconds that one call may take.
    """

    def __init__(
        self,
        shares: Shares,
        members: Iterable[Member],
        listener: AssignmentListener,
        alive: Callable[[], object],
        within_s: float,
    ) -> None:
        self._shares = shares
        self._members = {member.topic: member for member in members}
        self._listener = listener
        self._alive = alive
        self._within_s = within_s
        self._ended = False
        # A consumer that nobody holds any more must not hold its partitions.
        weakref.finalize(self, _abandon, shares, tuple(self._members.values())).atexit = False

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """See `LogConsumerDriver.poll`."""
        begin = time.monotonic()
        self._shares.begin_poll()
        try:
            while True:
                self._tell()
                records = self._shares.take(max_records)
                self._have_fetched(records)
                left_s = self._left_s(begin, timeout_s)
                if records or self._ended or left_s <= 0:
                    break
                self._wait(left_s)
            if not records:
                for member in self._members.values():
                    self._check(member)
        finally:
            self._shares.end_poll()
        return records

    def _have_fetched(self, taken: Collection[Record]) -> None:
        """Have the threads fetch on, where after *taken* few records are ready."""
        for topic in {record.partition.topic for record in taken}:
            if self._shares.ready(topic) < BATCH:
                self._members[topic].wake()

    def _left_s(self, begin: float, timeout_s: float) -> float:
        """Return how long to wait on: also after the time is over, for what is there and was not fetched yet."""
        with self._shares.changed:
            if not self._shares.is_settled(self._members.keys()):
                timeout_s = max(timeout_s, self._within_s)
        return begin + timeout_s - time.monotonic()

    def assignment(self) -> frozenset[Partition]:
        """See `LogConsumerDriver.assignment`."""
        return self._shares.announced()

    def seek(self, partition: Partition, offset: int) -> None:
        """See `LogConsumerDriver.seek`."""
        self._shares.seek(partition, offset)
        self._members[partition.topic].wake()

    def pause(self, partitions: Collection[Partition]) -> None:
        """See `LogConsumerDriver.pause`."""
        self._set_paused(partitions, paused=True)

    def resume(self, partitions: Collection[Partition]) -> None:
        """See `LogConsumerDriver.resume`."""
        self._set_paused(partitions, paused=False)

    def close(self) -> None:
        """See `LogConsumerDriver.close`."""
        with self._shares.changed:
            if self._ended:
                return
            self._ended = True
            self._shares.changed.notify_all()
        try:
            self._leave()
        finally:
            _abandon(self._shares, self._members.values())
            for member in self._members.values():
                member.close()

    def _leave(self) -> None:
        """Call the listener for the partitions that are given up."""

    def _tell(self) -> None:
        """Call the listener for what has changed."""
        if lost := self._shares.take_lost():
            self._listener.lost(lost)
        if new := self._shares.announce():
            self._listener.assigned(new)
        if wanted := self._shares.wanted():
            self._listener.wanted(wanted)
            if free := self._shares.free():
                self._listener.revoked(free)
                self._shares.give_up(free)
                self._wake()

    def _wait(self, seconds: float) -> None:
        with self._shares.changed:
            if not self._ended and not self._shares.is_due():
                self._shares.changed.wait(min(seconds, 3600))

    def _wake(self) -> None:
        for member in self._members.values():
            member.wake()

    def _check(self, member: Member) -> None:
        """Raise the error for which nothing comes."""
        failure, member.failure = member.failure, None
        if failure is not None and failure.code() != KafkaError._MAX_POLL_EXCEEDED:
            raise member.trouble.refusal(failure, f"topic {member.topic!r}")
        member.trouble.check()
        if member.trouble.error is not None and not self._ended:
            self._alive()
            member.trouble.error = None

    def _set_paused(self, partitions: Collection[Partition], *, paused: bool) -> None:
        self._shares.set_paused(partitions, paused=paused)
        self._wake()


def _abandon(shares: Shares, members: Iterable[Member]) -> None:
    """Have the threads of *members* close their clients."""
    with shares.changed:
        shares.closing = True
        shares.changed.notify_all()
    for member in members:
        member.wake()


class GroupConsumer(_Consumer):
    """A member of the group of each of its topics."""

    def __init__(
        self,
        shares: Shares,
        members: Iterable[Member],
        listener: AssignmentListener,
        alive: Callable[[], object],
        within_s: float,
        *,
        begin: Callable[[Partition], int],
    ) -> None:
        super().__init__(shares, members, listener, alive, within_s)
        self._begin = begin

    def position(self, partition: Partition) -> int:
        """See `LogConsumerDriver.position`."""
        position = self._shares.position(partition)
        return self._begin(partition) if position is None else position

    def commit(self, offsets: Mapping[Partition, Commit], *, wait: bool = True) -> None:
        """See `LogConsumerDriver.commit`."""
        self._check_own(offsets)
        for topic, member in self._members.items():
            if own := {each: commit for each, commit in offsets.items() if each.topic == topic}:
                member.commit(own, wait=wait)
                self._shares.note_commits(own)

    def _check_own(self, partitions: Iterable[Partition]) -> None:
        with self._shares.changed:
            if self._shares.is_stale():
                raise ConflictError(
                    f"this consumer has not polled for {self._shares.session_s} s: its partitions went to others"
                )
            for partition in partitions:
                self._shares.get(partition)

    def _leave(self) -> None:
        if lost := self._shares.take_lost():
            self._listener.lost(lost)
        if own := self._shares.announced():
            if self._shares.is_stale():
                self._listener.lost(own)
            else:
                self._listener.revoked(own)


class Reader(_Consumer):
    """A reader of fixed partitions."""

    def __init__(
        self,
        shares: Shares,
        members: Iterable[Member],
        alive: Callable[[], object],
        within_s: float,
        offsets: Mapping[Partition, int],
    ) -> None:
        super().__init__(shares, members, AssignmentListener(), alive, within_s)
        self._offsets = offsets

    def position(self, partition: Partition) -> int:
        """See `LogConsumerDriver.position`."""
        position = self._shares.position(partition)
        return self._offsets[partition] if position is None else position

    def commit(self, offsets: Mapping[Partition, Commit], *, wait: bool = True) -> None:
        """See `LogConsumerDriver.commit`."""
        del offsets, wait
        raise UnsupportedError("a reader has no group, and so nothing to commit: use `Log.consumer`")
