"""A log in one SQLite file: durable, shared by the processes of one machine, no server."""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

from pydantic import Field

from capa_core.abilities import NATIVE, Feature, How, Support
from capa_core.blocks.log.driver import (
    AssignmentListener,
    Bounds,
    Commit,
    LogConsumerDriver,
    LogDriver,
    LogFeature,
    LogLimits,
    OutgoingRecord,
    Partition,
    Position,
    Record,
    Start,
)
from capa_core.blocks.log.membership import GroupConsumer, LogStore, Outcome, Reader, Turn
from capa_core.components.sqlite import _log_groups, _log_records
from capa_core.components.sqlite._database import Database
from capa_core.components.sqlite._driver import SqliteDriver, SqliteSettings
from capa_core.components.sqlite._file import largest_row
from capa_core.components.sqlite._wakeup import Listener, Wakeups
from capa_core.errors import CapaError, InvalidArgumentError

_TIDY_PAUSE_S = 5.0
_TIDY_BATCH = 2_000
_PAGE = 500
_BESIDE_RECORD = 1_000_000


class SqliteLogSettings(SqliteSettings):
    """The place of the file, and the retention of records.

    Attributes:
        partitions: The number of partitions of a new topic, and so the largest number of consumers that can share it.
        retention_s: Seconds after which a record is removed, whether it was read or not: 7 days by default.
    """

    partitions: int = Field(default=4, ge=1, le=1000)
    retention_s: float = Field(default=7 * 86_400.0, gt=0)


class SqliteLog(SqliteDriver[SqliteLogSettings], LogDriver[SqliteLogSettings]):
    """Tables of records and of groups in `<folder>/log.db`.

    Appending and committing return when the change is on the disk; concurrent threads share an fsync. Heartbeats of
    consumers, their positions and commits without `wait` are committed without an fsync.
    """

    block = "log"
    steps: Sequence[str] = (_log_records.SCHEMA + _log_groups.SCHEMA,)
    probe = "SELECT 1 FROM part LIMIT 1"
    settings_type = SqliteLogSettings
    features: ClassVar[Mapping[Feature, Support]] = {
        **dict.fromkeys(LogFeature, NATIVE),
        LogFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
    }

    def __init__(self, settings: SqliteLogSettings) -> None:
        super().__init__(settings)
        self._lively = self.open_file(durable=False)
        self._wakeups = Wakeups(settings.folder / "log.wake")
        self._store = _Store(self.database, self._lively, self._wakeups)
        self._spread = itertools.count(random.randrange(settings.partitions))  # noqa: S311 - no secret
        self._next_tidy = 0.0

    @property
    def limits(self) -> LogLimits:
        """See `LogDriver.limits`: a row also has names, and headers in a longer form."""
        return LogLimits(max_record_bytes=largest_row() - _BESIDE_RECORD)

    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position | CapaError]:
        """See `LogDriver.append`."""
        places = self.database.write(lambda connection: self._add(connection, topic, records))
        self._wakeups.signal(topic)
        self._tidy()
        return list(places)

    def create_topic(self, topic: str) -> list[Partition]:
        """See `LogDriver.create_topic`."""
        count = self.settings.partitions
        return self.partitions(topic) or self.database.write(
            lambda connection: list(_log_records.made(connection, topic, count))
        )

    def partitions(self, topic: str) -> list[Partition]:
        """See `LogDriver.partitions`."""
        return list(self.database.read(lambda connection: _log_records.parts(connection, topic)))

    def topics(self) -> Iterator[str]:
        """See `LogDriver.topics`: in pages, so that no connection is held between two names."""
        last = ""
        while page := self.database.read(partial(_log_records.topics_after, last=last, most=_PAGE)):
            yield from page
            last = page[-1]

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """See `LogDriver.bounds`."""
        return self.database.read(lambda connection: _log_records.bounds(connection, partitions))

    def offsets_at(self, topic: str, timestamp: float) -> dict[Partition, int]:
        """See `LogDriver.offsets_at`."""
        return self.database.read(lambda connection: _log_records.offsets_at(connection, topic, timestamp))

    def create_group(self, topic: str, group: str, start: Start) -> None:
        """See `LogDriver.create_group`."""
        if group not in self.groups(topic):
            self.database.write(lambda connection: self._create(connection, topic, group, start))

    def groups(self, topic: str) -> list[str]:
        """See `LogDriver.groups`."""
        return self.database.read(lambda connection: _log_groups.groups(connection, topic))

    def committed(self, topic: str, group: str) -> dict[Partition, Commit]:
        """See `LogDriver.committed`."""
        return self.database.read(lambda connection: _log_groups.committed(connection, topic, group))

    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """See `LogDriver.truncate`."""
        self.database.write(lambda connection: _log_records.truncate(connection, offsets))

    def consume(
        self,
        topics: Sequence[str],
        group: str,
        listener: AssignmentListener,
        *,
        session_s: float,
        yield_s: float | None,
    ) -> LogConsumerDriver:
        """See `LogDriver.consume`."""
        return GroupConsumer(self._store, topics, group, listener, session_s=session_s, yield_s=yield_s)

    def read(self, offsets: Mapping[Partition, int]) -> LogConsumerDriver:
        """See `LogDriver.read`."""
        return Reader(self._store, offsets)

    def close(self) -> None:
        """See `Driver.close`."""
        self._wakeups.close()
        self._lively.close()
        super().close()

    def _add(
        self, connection: sqlite3.Connection, topic: str, records: Sequence[OutgoingRecord]
    ) -> list[Position]:
        count = len(_log_records.made(connection, topic, self.settings.partitions))
        numbers = [self._number(record, count) for record in records]
        return _log_records.add(connection, topic, numbers, records)

    def _number(self, record: OutgoingRecord, count: int) -> int:
        if record.partition is not None:
            if not 0 <= record.partition < count:
                raise InvalidArgumentError(
                    f"partition {record.partition} does not exist: there are 0 to {count - 1}"
                )
            return record.partition
        return (next(self._spread) if record.key is None else zlib.crc32(record.key)) % count

    def _create(self, connection: sqlite3.Connection, topic: str, group: str, start: Start) -> None:
        found = _log_records.made(connection, topic, self.settings.partitions)
        _log_groups.create(connection, topic, group, start, found)

    def _tidy(self) -> None:
        """Remove old records from time to time."""
        now = time.monotonic()
        if now >= self._next_tidy:
            self._next_tidy = now + _TIDY_PAUSE_S
            before = time.time() - self.settings.retention_s
            self._lively.write(partial(_log_records.tidy, stored_before=before, most=_TIDY_BATCH))


class _Store(LogStore):
    """The groups in the file, for the consumers of this process."""

    def __init__(self, database: Database, lively: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._lively = lively
        self._wakeups = wakeups

    def fetch(self, positions: Mapping[Partition, int], max_records: int) -> list[Record]:
        """See `LogStore.fetch`."""
        order = list(positions)
        random.shuffle(order)  # a full partition must not starve the others

        def read(connection: sqlite3.Connection) -> list[Record]:
            records: list[Record] = []
            for partition in order:
                left = max_records - len(records)
                if left:
                    records += _log_records.read(connection, partition, positions[partition], left)
            return records

        return self._database.read(read)

    def turn(self, turn: Turn) -> Outcome:
        """See `LogStore.turn`."""
        outcome, joined = self._lively.write(lambda connection: _log_groups.take_turn(connection, turn))
        if joined:
            self.signal(turn.topics)
        return outcome

    def give_up(self, group: str, member: str, partitions: Collection[Partition]) -> None:
        """See `LogStore.give_up`."""
        self._lively.write(lambda connection: _log_groups.give_up(connection, group, member, partitions))
        self.signal(list({partition.topic for partition in partitions}))

    def leave(self, group: str, member: str, topics: Sequence[str]) -> None:
        """See `LogStore.leave`."""

        def remove(connection: sqlite3.Connection) -> None:
            for topic in topics:
                _log_groups.remove(connection, topic, group, member)

        self._lively.write(remove)
        self.signal(topics)

    def position(self, group: str, member: str, partition: Partition) -> int | None:
        """See `LogStore.position`."""
        return self._database.read(
            lambda connection: _log_groups.position(connection, group, member, partition)
        )

    def seek(self, group: str, member: str, partition: Partition, offset: int) -> bool:
        """See `LogStore.seek`."""
        done = self._lively.write(
            lambda connection: _log_groups.move(connection, group, member, partition, offset)
        )
        self.signal([partition.topic])
        return done

    def commit(self, group: str, member: str, offsets: Mapping[Partition, Commit], *, wait: bool) -> bool:
        """See `LogStore.commit`."""
        database = self._database if wait else self._lively
        try:
            database.write(lambda connection: _log_groups.commit(connection, group, member, offsets))
        except _log_groups.NotOwnerError:
            return False
        return True

    def listen(self, topics: Sequence[str]) -> AbstractContextManager[Listener]:
        """See `LogStore.listen`."""
        return self._wakeups.listen(*topics)

    def signal(self, topics: Sequence[str]) -> None:
        """See `LogStore.signal`."""
        self._wakeups.signal(*topics)
