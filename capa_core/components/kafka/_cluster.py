"""Topics, bounds and positions of a Kafka cluster, by the requests of its administration."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from functools import cached_property
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from capa_core.blocks.log.driver import Bounds, Commit, Partition, Start
from capa_core.components.kafka._client import Requests, Trouble, open_client, options
from capa_core.components.kafka._errors import MISSING, RefusedError, error_in
from capa_core.components.kafka._names import Names
from capa_core.components.kafka._risks import TopicSettings
from capa_core.components.kafka._settings import KafkaSettings
from capa_core.errors import AlreadyExistsError, ConflictError, PermissionDeniedError, UnavailableError

_LEAST_SESSION = "group.min.session.timeout.ms"
_USUAL_LEAST_SESSION_S = 6.0
_LOOK_S = 0.02
_MOVED = -1
"""The offset by which `delete_records` means the end."""


class Cluster:
    """The topics and groups that *names* names."""

    def __init__(self, settings: KafkaSettings, names: Names) -> None:
        self._settings = settings
        self._names = names
        self.requests = Requests(settings)

    @cached_property
    def least_session_s(self) -> float:
        """The shortest session that the brokers allow; their default where they do not tell."""
        try:
            return float(self.settings_of_broker()[_LEAST_SESSION]) / 1000
        except (RefusedError, KeyError):
            return _USUAL_LEAST_SESSION_S

    def about(self) -> str:
        """Return one line about the cluster."""
        found = self.requests.wait(self.requests.futures(AdminClient.describe_cluster))
        count = len(found.nodes)
        brokers = "1 broker" if count == 1 else f"{count} brokers"
        return f"Kafka cluster {found.cluster_id} of {brokers} at {self._settings.servers}"

    # Topics

    def create_topic(self, topic: str) -> list[Partition]:
        """Return the partitions of *topic*, which is made if it does not exist: at least one."""
        if found := self.partitions(topic):
            return found
        self._make(topic)
        end = time.monotonic() + self._settings.timeout_s
        while not (found := self._led(topic)):
            if time.monotonic() >= end:
                late = f"{self._settings.timeout_s:g} s later not each partition has a leader"
                raise RefusedError(
                    UnavailableError,
                    f"{_of(topic)} was made, and {late}. Look at the brokers, or allow more: timeout_s",
                )
            time.sleep(_LOOK_S)
        return found

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of *topic*; none if it does not exist."""
        name = self._names.topic(topic)
        (future,) = self.requests.futures(AdminClient.describe_topics, TopicCollection([name])).values()
        try:
            found = self.requests.wait(future, _of(topic))
        except RefusedError as error:
            if error.code in MISSING:
                return []
            raise
        return [Partition(topic, number) for number in sorted(each.id for each in found.partitions)]

    def _led(self, topic: str) -> list[Partition]:
        """Return the partitions of a new topic once all have a leader: each broker learns of it in its own time."""
        found = self.partitions(topic)
        try:
            return found if len(self._offsets(found, OffsetSpec.latest())) == len(found) else []
        except RefusedError as error:
            if error.kind is UnavailableError:
                return []
            raise

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic."""
        client = self.requests.client
        try:
            found = client.get().list_topics(timeout=self._settings.timeout_s)
        except KafkaException:
            self.about()  # says why, or that it was for a moment
            raise
        return self._names.topics(found.topics)

    def truncate(self, offsets: Mapping[Partition, int]) -> None:
        """Remove the records before *offsets*."""
        ends = self.bounds(offsets.keys())
        wanted = {
            partition: offset if offset < ends[partition].end else _MOVED
            for partition, offset in offsets.items()
            if partition in ends and offset > ends[partition].first
        }
        if wanted:
            self._each(AdminClient.delete_records, [self._native(*each) for each in wanted.items()])

    # Offsets

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        """Return the bounds of those of *partitions* that exist."""
        first = self._offsets(partitions, OffsetSpec.earliest())
        end = self._offsets(partitions, OffsetSpec.latest())
        return {each: Bounds(first[each], end[each]) for each in first.keys() & end.keys()}

    def offsets_at(self, topic: str, timestamp: float) -> dict[Partition, int]:
        """Return the offset of the first record of each partition at or after *timestamp*, or its end."""
        partitions = self.partitions(topic)
        ends = self._offsets(partitions, OffsetSpec.latest())
        found = self._offsets(partitions, OffsetSpec.for_timestamp(max(0, int(timestamp * 1000))))
        return {each: found[each] if found.get(each, -1) >= 0 else end for each, end in ends.items()}

    def _offsets(self, partitions: Collection[Partition], at: OffsetSpec) -> dict[Partition, int]:
        wanted = {self._native(partition): partition for partition in partitions}
        if not wanted:
            return {}
        futures = self.requests.futures(AdminClient.list_offsets, dict.fromkeys(wanted, at))
        found: dict[Partition, int] = {}
        for native, future in futures.items():
            try:
                found[wanted[native]] = self.requests.wait(future, _of(wanted[native].topic)).offset
            except RefusedError as error:
                if error.code not in MISSING:
                    raise
        return found

    # Groups

    def groups(self, topic: str) -> list[str]:
        """Return the groups of *topic*."""
        found = self.requests.wait(self.requests.futures(AdminClient.list_consumer_groups))
        return self._names.groups(topic, (each.group_id for each in found.valid))

    def committed(self, topic: str, group: str) -> dict[Partition, Commit]:
        """Return the position of *group* in each partition."""
        wanted = [self._native(partition) for partition in self.partitions(topic)]
        if not wanted:
            return {}
        return {
            Partition(topic, each.partition): Commit(each.offset, each.metadata or "")
            for each in self._positions(
                self._names.group(topic, group), wanted, f"group {group!r} of {_of(topic)}"
            )
            if each.offset >= 0
        }

    def _positions(self, group: str, wanted: list[TopicPartition], subject: str) -> list[TopicPartition]:
        # Not by the AdminClient: its process crashes (librdkafka 2.16) when the group's coordinator has just come back.
        trouble = Trouble(self._settings.servers)
        more = {"group.id": group, "enable.auto.commit": False}
        client = open_client(Consumer, options(self._settings, trouble) | more)
        try:
            return list(client.committed(wanted, timeout=self._settings.timeout_s))
        except KafkaException as error:
            client.poll(0)  # takes the errors of its connections
            trouble.check()
            raise trouble.refusal(error_in(error), subject) from error
        finally:
            client.close()

    def create_group(self, topic: str, group: str, start: Start) -> None:
        """Commit *start* for each partition, unless the group exists."""
        # The bounds first: if another process makes the group meanwhile, its position is not behind this one.
        bounds = self.bounds(self.create_topic(topic))
        if self.committed(topic, group):
            return
        if start is Start.KEPT:
            start = Start.END if self.groups(topic) else Start.BEGINNING
        offsets = [
            self._native(each, found.first if start is Start.BEGINNING else found.end)
            for each, found in bounds.items()
        ]
        if not offsets:
            raise RefusedError(UnavailableError, f"{_of(topic)} was deleted while group {group!r} was made")
        wanted = [ConsumerGroupTopicPartitions(self._names.group(topic, group), offsets)]
        (future,) = self.requests.futures(AdminClient.alter_consumer_group_offsets, wanted).values()
        try:
            self.requests.wait(future, f"group {group!r} of {_of(topic)}")
        except RefusedError as error:
            if error.kind is not ConflictError:  # it has a member: another process has made it, and consumes
                raise

    # Settings

    def settings_of_broker(self) -> dict[str, str]:
        """Return the settings of one broker, by name."""
        cluster = self.requests.wait(self.requests.futures(AdminClient.describe_cluster))
        name = str(cluster.nodes[0].id)
        wanted = [ConfigResource(ConfigResource.Type.BROKER, name)]
        (future,) = self.requests.futures(AdminClient.describe_configs, wanted).values()
        return self._values(future, name)

    def settings_of_topics(self) -> list[TopicSettings]:
        """Return the settings of all topics, and on how many brokers the partition of each is that is on the fewest."""
        names = {self._names.topic(topic): topic for topic in self.topics()}
        if not names:
            return []
        described = self.requests.futures(AdminClient.describe_topics, TopicCollection(list(names)))
        wanted = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        settings = self.requests.futures(AdminClient.describe_configs, wanted)
        return [
            TopicSettings(
                names[resource.name],
                min(len(each.replicas) for each in self.requests.wait(described[resource.name]).partitions),
                self._values(future, resource.name),
            )
            for resource, future in settings.items()
        ]

    def _values(self, future: Future[Any], name: str) -> dict[str, str]:
        found = self.requests.wait(future, name)
        return {each.name: each.value for each in found.values() if each.value is not None}

    def _make(self, topic: str) -> None:
        settings = self._settings
        config = (
            {} if settings.retention_s is None else {"retention.ms": str(int(settings.retention_s * 1000))}
        )
        new = NewTopic(
            self._names.topic(topic),
            num_partitions=settings.partitions,
            replication_factor=settings.replicas or -1,
            config=config,
        )
        try:
            self._each(AdminClient.create_topics, [new], _of(topic))
        except RefusedError as error:
            if error.kind is PermissionDeniedError:
                raise RefusedError(error.kind, f"it does not exist. {error}", error.code) from error
            if error.kind is not AlreadyExistsError:
                raise

    def _each(self, request: Any, wanted: Any, subject: str = "") -> None:
        futures: Mapping[Any, Future[Any]] = self.requests.futures(request, wanted)
        for future in futures.values():
            self.requests.wait(future, subject)

    def _native(self, partition: Partition, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._names.topic(partition.topic), partition.number, offset)


def _of(topic: str) -> str:
    return f"topic {topic!r}"
