"""Inspection of a queue over a log: depth, age and messages of a group, from its commits and the records beyond them.

The topic and the group's retry topic are read as one. A consumer commits the count of a delivery with the lease, so
that a count above 0 means that a message is being worked on, or was when its consumer died.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from capa_core.blocks.log.driver import Bounds, Commit, LogDriver, Partition, Record
from capa_core.blocks.pubsub.inspection import (
    GroupStatus,
    MessageState,
    PeekedMessage,
    TopicStatus,
    check_position,
)
from capa_core.blocks.pubsub.over_log._codec import (
    delivery_of,
    due_of,
    is_retry_topic,
    retry_topic,
)
from capa_core.blocks.pubsub.over_log._progress import Progress

_POSITION = re.compile(r"[01]:[0-9]{1,9}:[0-9]{1,18}")
_BATCH = 100
_WAIT_S = 1.0
"""How long to wait for records that are there. None come where the log has an end without a record, as Kafka may."""


class LogInspection:
    """The inspection of the queues over *log*."""

    def __init__(self, log: LogDriver[Any]) -> None:
        self._log = log

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        return (name for name in self._log.topics() if not is_retry_topic(name))

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        names = self._log.groups(topic)
        if names:
            return TopicStatus(name=topic, groups=tuple(self._group(topic, name) for name in sorted(names)))
        kept = self._kept(topic)
        return TopicStatus(name=topic, kept=sum(map(len, kept)), oldest_s=self._oldest_s(kept))

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return sum(map(len, self._pending(topic, group)))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`; the order is that of partitions, the retry topic after the topic itself."""
        last = tuple(map(int, check_position(after, _POSITION).split(":"))) if after else (-1, -1, -1)
        found: list[PeekedMessage] = []
        for pending in self._pending(topic, group):
            is_retry = int(pending.partition.topic != topic)
            if (is_retry, pending.partition.number) < last[:2]:
                continue
            first = last[2] + 1 if (is_retry, pending.partition.number) == last[:2] else 0
            for record in self._records(pending, first, most - len(found)):
                position = f"{is_retry}:{record.partition.number}:{record.offset}"
                found.append(_peeked(record, position, pending.progress, max_bytes))
            if len(found) == most:
                break
        return found

    def _group(self, topic: str, group: str) -> GroupStatus:
        pending = self._pending(topic, group)
        return GroupStatus(
            name=group,
            depth=sum(map(len, pending)),
            in_flight=sum(
                len(each) if each.partition.topic != topic else sum(map(bool, each.progress.counts.values()))
                for each in pending
            ),
            oldest_s=self._oldest_s(pending),
        )

    def _pending(self, topic: str, group: str) -> list[_Pending]:
        """Return the messages that *group* has not finished; if it does not exist, those that it would find."""
        commits = self._log.committed(topic, group)
        if not commits:
            return [] if self._log.groups(topic) else self._kept(topic)
        return [*self._beyond(commits), *self._beyond(self._log.committed(retry_topic(topic, group), group))]

    def _kept(self, topic: str) -> list[_Pending]:
        return self._beyond({partition: Commit(0) for partition in self._log.partitions(topic)})

    def _beyond(self, commits: Mapping[Partition, Commit]) -> list[_Pending]:
        bounds = self._log.bounds(list(commits))
        return [
            _Pending(partition, Progress(commits[partition]), bounds[partition])
            for partition in sorted(bounds, key=lambda each: each.number)
        ]

    def _oldest_s(self, pending: list[_Pending]) -> float | None:
        firsts = [record for each in pending for record in self._records(each, 0, 1)]
        published = [delivery_of(record, None, 0).published_at for record in firsts]
        return max(0.0, time.time() - min(published)) if published else None

    def _records(self, pending: _Pending, first: int, most: int) -> list[Record]:
        """Return up to *most* unfinished records from the offset *first* on."""
        start, end = max(first, pending.start), pending.end
        found: list[Record] = []
        if start >= end or not len(pending):
            return found
        reader = self._log.read({pending.partition: start})
        try:
            while len(found) < most and start < end:
                records = reader.poll(_BATCH, _WAIT_S)
                if not records:
                    break
                start = records[-1].offset + 1
                found += [r for r in records if r.offset < end and not pending.progress.is_done(r.offset)]
        finally:
            reader.close()
        return found[:most]


class _Pending:
    """The messages of one partition that a group has not finished; its length is their number."""

    def __init__(self, partition: Partition, progress: Progress, bounds: Bounds) -> None:
        self.partition = partition
        self.progress = progress
        self.start = max(bounds.first, progress.low)
        self.end = bounds.end

    def __len__(self) -> int:
        return max(0, self.end - self.start - self.progress.done_from(self.start))


def _peeked(record: Record, position: str, progress: Progress, max_bytes: int) -> PeekedMessage:
    counted = progress.counts.get(record.offset, 0)
    message = delivery_of(record, None, counted)
    return PeekedMessage.of(
        message,
        position,
        max_bytes=max_bytes,
        delivery_count=message.delivery_count,
        published_at=message.published_at,
        state=_state(record, counted),
    )


def _state(record: Record, counted: int) -> MessageState:
    if due_of(record) > time.time():
        return MessageState.DELAYED
    return MessageState.IN_FLIGHT if counted else MessageState.READY
