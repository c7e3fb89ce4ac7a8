"""A log within one process, for tests; the reference for all other components."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import NATIVE, Feature, Support, absent
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
    Start,
)
from capa_core.blocks.log.membership import GroupConsumer, Reader
from capa_core.components.memory._log_store import MemoryLogStore
from capa_core.errors import CapaError


class MemoryLogSettings(BaseModel):
    """The shape of new topics, and limits: with those of an engine, a test finds records that are over them.

    Attributes:
        partitions: The number of partitions of a topic, and so the largest number of consumers that can share it.
        max_record_bytes: The largest record; `None` for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partitions: int = Field(default=4, ge=1, le=1000)
    max_record_bytes: int | None = Field(default=None, gt=0)


class MemoryLog(LogDriver[MemoryLogSettings]):
    """A log with the topics of one instance."""

    settings_type = MemoryLogSettings
    features: ClassVar[Mapping[Feature, Support]] = {
        **dict.fromkeys(LogFeature, NATIVE),
        LogFeature.SHARED: absent("records live in the memory of one process"),
        LogFeature.DURABLE: absent("records live in the memory of one process"),
    }

    def __init__(self, settings: MemoryLogSettings) -> None:
        super().__init__(settings)
        self._store = MemoryLogStore(settings.partitions)

    @property
    def limits(self) -> LogLimits:
        """Return the limits of the settings."""
        return LogLimits(max_record_bytes=self.settings.max_record_bytes)

    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position | CapaError]:
        """See `LogDriver.append`."""
        return list(self._store.append(topic, records))

    def create_topic(self, topic: str) -> list[Partition]:
        """See `LogDriver.create_topic`."""
        return self._store.create_topic(topic)

    def partitions(self, topic: str) -> list[Partition]:
        """See `LogDriver.partitions`."""
        return self._store.partitions(topic)

    def topics(self) -> Iterator[str]:
        """See `LogDriver.topics`."""
        return iter(self._store.topics())

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """See `LogDriver.bounds`."""
        return self._store.bounds(partitions)

    def offsets_at(self, topic: str, timestamp: float) -> dict[Partition, int]:
        """See `LogDriver.offsets_at`."""
        return self._store.offsets_at(topic, timestamp)

    def create_group(self, topic: str, group: str, start: Start) -> None:
        """See `LogDriver.create_group`."""
        self._store.create_group(topic, group, start)

    def groups(self, topic: str) -> list[str]:
        """See `LogDriver.groups`."""
        return self._store.groups(topic)

    def committed(self, topic: str, group: str) -> dict[Partition, Commit]:
        """See `LogDriver.committed`."""
        return self._store.committed(topic, group)

    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """See `LogDriver.truncate`."""
        self._store.truncate(offsets)

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

    def ping(self) -> str:
        """See `Driver.ping`."""
        return "memory of this process"

    def close(self) -> None:
        """Do nothing: the records end with the instance."""

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._store.forget()
