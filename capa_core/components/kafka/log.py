"""The log on Kafka: its topics, with an idempotent producer and a group of its own for each topic."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient

from capa_core.abilities import NATIVE, Feature, Support, approximate
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
from capa_core.components.kafka import _member
from capa_core.components.kafka._appender import Appender
from capa_core.components.kafka._client import Lazy, Trouble, options
from capa_core.components.kafka._cluster import Cluster
from capa_core.components.kafka._consumer import GroupConsumer, Reader
from capa_core.components.kafka._errors import MISSING, RefusedError, name_error
from capa_core.components.kafka._member import Member
from capa_core.components.kafka._names import Names
from capa_core.components.kafka._risks import risks
from capa_core.components.kafka._settings import KafkaSettings
from capa_core.components.kafka._shares import Shares
from capa_core.driver import Risk
from capa_core.errors import CapaError

_LONGEST_SESSION_S = 1_800.0
"""`group.max.session.timeout.ms` of brokers that set no other. Whoever polls not for longer leaves by itself."""
_HEARTBEATS_PER_SESSION = 4
_LONGEST_HEARTBEAT_S = 0.5
"""A member learns by a heartbeat that another wants partitions; Kafka's default of 3 s makes that one wait."""
_PREFETCHED = 5_000
_PREFETCHED_KB = 16 * 1024


class KafkaLog(LogDriver[KafkaSettings]):
    """Topics and groups of a Kafka cluster.

    An append returns when all replicas in sync have the record. A group is one Kafka group for each topic,
    `<group>/<topic>`; a thread for each topic of a consumer keeps its membership while records are worked on. A
    transaction has no place in the contract of a log: `native(confluent_kafka.Producer)` shares the producer of
    `append`, and one with a `transactional.id` is the application's own.
    """

    settings_type = KafkaSettings
    features: ClassVar[Mapping[Feature, Support]] = {
        **dict.fromkeys(LogFeature, NATIVE),
        LogFeature.INSPECT: approximate(
            "topics whose names are too long for Kafka are listed by a shorter one"
        ),
    }

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self._names = Names(settings.prefix)
        self._open()

    @property
    def limits(self) -> LogLimits:
        """See `LogDriver.limits`."""
        return LogLimits(max_record_bytes=self.settings.max_record_bytes)

    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position | CapaError]:
        """See `LogDriver.append`."""
        if topic not in self._made:
            self.create_topic(topic)
        name = self._names.topic(topic)
        try:
            return self._appender.append(topic, name, records)
        except RefusedError as error:
            if error.code not in MISSING and not _is_gone(error, records):
                raise
        self.create_topic(topic)  # an operator has deleted it
        return self._appender.append(topic, name, records)

    def create_topic(self, topic: str) -> list[Partition]:
        """See `LogDriver.create_topic`."""
        found = self.cluster.create_topic(topic)
        self._made.add(topic)
        return found

    def partitions(self, topic: str) -> list[Partition]:
        """See `LogDriver.partitions`."""
        return self.cluster.partitions(topic)

    def topics(self) -> Iterator[str]:
        """See `LogDriver.topics`."""
        return self.cluster.topics()

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """See `LogDriver.bounds`."""
        return self.cluster.bounds(partitions)

    def offsets_at(self, topic: str, timestamp: float) -> dict[Partition, int]:
        """See `LogDriver.offsets_at`."""
        return self.cluster.offsets_at(topic, timestamp)

    def create_group(self, topic: str, group: str, start: Start) -> None:
        """See `LogDriver.create_group`."""
        self.cluster.create_group(topic, group, start)

    def groups(self, topic: str) -> list[str]:
        """See `LogDriver.groups`."""
        return self.cluster.groups(topic)

    def committed(self, topic: str, group: str) -> dict[Partition, Commit]:
        """See `LogDriver.committed`."""
        return self.cluster.committed(topic, group)

    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """See `LogDriver.truncate`. Consumers of other processes may still return records that they have fetched."""
        self.cluster.truncate(offsets)
        for shares in list(self._shares):
            shares.truncate(offsets)

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
        shares = self._new_shares(session_s)
        session = self._session(session_s)
        members = [
            self._member(
                {**session, "group.id": self._names.group(topic, group)}, topic, shares, yield_s=yield_s
            )
            for topic in topics
        ]
        return GroupConsumer(
            shares,
            members,
            listener,
            self.cluster.about,
            self.settings.timeout_s,
            begin=lambda each: self._begin(each, group),
        )

    def read(self, offsets: Mapping[Partition, int]) -> LogConsumerDriver:
        """See `LogDriver.read`."""
        shares = self._new_shares(float("inf"))
        shares.add(offsets, announced=True)
        alone = {"group.id": f"capa-reader-{uuid.uuid4().hex}"}  # the client demands one, and does not use it
        members = [
            self._member(
                alone,
                topic,
                shares,
                offsets={each: at for each, at in offsets.items() if each.topic == topic},
            )
            for topic in {partition.topic for partition in offsets}
        ]
        return Reader(shares, members, self.cluster.about, self.settings.timeout_s, offsets)

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: any thread may use both."""
        return {Producer: self._appender.client.get, AdminClient: self.cluster.requests.client.get}

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        return self.cluster.about()

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return list(risks(self.cluster.settings_of_broker(), self.cluster.settings_of_topics()))

    def close(self) -> None:
        """See `Driver.close`."""
        for client in self._lazy():
            client.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        _member.forget_all()
        for client in self._lazy():
            client.forget()
        self._open()

    def _open(self) -> None:
        self.cluster = Cluster(self.settings, self._names)
        self._appender = Appender(self.settings)
        self._made: set[str] = set()
        self._shares: weakref.WeakSet[Shares] = weakref.WeakSet()

    def _lazy(self) -> list[Lazy[Any]]:
        return [self._appender.client, self.cluster.requests.client]

    def _begin(self, partition: Partition, group: str) -> int:
        """Return where *group* begins in *partition*, of which it has read nothing."""
        found = self.bounds([partition])
        commit = self.committed(partition.topic, group).get(partition, Commit(0))
        return max(found[partition].first, commit.offset) if partition in found else commit.offset

    def _new_shares(self, session_s: float) -> Shares:
        shares = Shares(session_s)
        self._shares.add(shares)
        return shares

    def _session(self, session_s: float) -> dict[str, Any]:
        """Return the options of a member that may be silent for *session_s*."""
        least_s = self.cluster.least_session_s
        alive_s = min(max(session_s, least_s), _LONGEST_SESSION_S)
        return {
            "session.timeout.ms": int(alive_s * 1000),
            "heartbeat.interval.ms": int(min(alive_s / _HEARTBEATS_PER_SESSION, _LONGEST_HEARTBEAT_S) * 1000),
            # The longest that the others wait for a member that has records to finish before it gives partitions up.
            "max.poll.interval.ms": int(max(session_s, alive_s) * 1000),
        }

    def _member(self, more: Mapping[str, Any], topic: str, shares: Shares, **how: Any) -> Member:
        settings = {
            **options(self.settings, Trouble(self.settings.servers)),
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
            "auto.offset.reset": "earliest",  # what retention removed is gone, what comes after it is not
            "enable.partition.eof": True,
            "partition.assignment.strategy": "cooperative-sticky",
            # A partition that is new here waits for the end of the fetch of the others.
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 10,  # once it has so many; by default it looks again after a second
            "queued.min.messages": _PREFETCHED,
            "queued.max.messages.kbytes": _PREFETCHED_KB,
            **more,
        }
        return Member(
            settings, topic, self._names.topic(topic), shares, within_s=self.settings.timeout_s, **how
        )


def _is_gone(error: RefusedError, records: Sequence[OutgoingRecord]) -> bool:
    """Return whether a topic has no partition left, also for records that name none."""
    return error.code == KafkaError._UNKNOWN_PARTITION and all(each.partition is None for each in records)
