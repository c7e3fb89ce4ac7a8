"""The driver: topics of a log as topics of pub/sub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, Feature, Support, absent, approximate
from capa_core.blocks.log.driver import LogDriver, LogFeature, Partition, Start
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus
from capa_core.blocks.pubsub.over_log._codec import record_of, retry_topic
from capa_core.blocks.pubsub.over_log._consumer import GroupMessages, ListenerMessages
from capa_core.blocks.pubsub.over_log._inspection import LogInspection
from capa_core.driver import DriverOver, SettingsT
from capa_core.errors import CapaError, UnsupportedError

_BESIDE_BODY = 16 * 1024


class QueueOverLog(DriverOver[SettingsT], PubSubDriver[SettingsT]):
    """Pub/sub over a log engine; a subclass names the engine's `log_type`, and takes its settings.

    - A group commits the first message that is not finished, so that a crash skips none; the commit's note lists the
      messages that are finished beyond it, and how often the others were delivered.
    - A rejected message goes to the retry topic of its group, which any of its consumers reads; a message
      with a key waits in its place, and those of its key behind it.
    - A consumer has whole partitions. One that neither receives nor extends for its lease loses them; one that works
      on a message and extends it keeps them, however long that takes.
    - A broadcast reads all partitions without a group, and leaves nothing behind.
    """

    log_type: ClassVar[type[LogDriver[Any]]]
    """The driver of the log underneath."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "log_type" in vars(cls):
            cls.settings_type = cls.log_type.settings_type
            cls.features = _features(cls.log_type.features)

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self.log = self.log_type(settings)
        self._inspection = LogInspection(self.log)

    @property
    def under(self) -> LogDriver[Any]:
        """See `DriverOver.under`."""
        return self.log

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`: those of the log, less the room for attributes and counts."""
        most = self.log.limits.max_record_bytes
        return PubSubLimits(
            max_message_bytes=None if most is None else max(0, most - _BESIDE_BODY),
            max_batch=self.log.limits.max_batch,
        )

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        outcomes = self.log.append(topic, [record_of(message) for message in messages])
        return [outcome if isinstance(outcome, CapaError) else None for outcome in outcomes]

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        if temporary:
            return ListenerMessages(self.log, topic, lease_s=lease_s)
        self.log.create_group(topic, group, Start.KEPT)
        self.log.create_group(retry_topic(topic, group), group, Start.BEGINNING)
        return GroupMessages(self.log, topic, group, lease_s=lease_s)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return self._inspection.depth(topic, group)

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`. The number is that of the group for which most messages were waiting."""
        support = self.log.features[LogFeature.TRUNCATE]
        if not support:
            raise UnsupportedError(f"{type(self).__name__} cannot purge a topic: {support.note}")
        groups = self.log.groups(topic)
        count = max((self.depth(topic, group) for group in groups), default=self._size(topic))
        ends: dict[Partition, int] = {}
        for name in [topic, *(retry_topic(topic, group) for group in groups)]:
            bounds = self.log.bounds(self.log.partitions(name))
            ends |= {partition: each.end for partition, each in bounds.items()}
        self.log.truncate(ends)
        return count

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        return self._inspection.topics()

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        return self._inspection.inspect(topic)

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        return self._inspection.peek(topic, group, most, after=after, max_bytes=max_bytes)

    def _size(self, topic: str) -> int:
        bounds = self.log.bounds(self.log.partitions(topic))
        return sum(each.end - each.first for each in bounds.values())


def _features(log: Mapping[Feature, Support]) -> dict[Feature, Support]:
    return {
        PubSubFeature.GROUPS: NATIVE,
        PubSubFeature.LEASE: BY_DRIVER,
        PubSubFeature.NACK_DELAY: BY_DRIVER,
        PubSubFeature.DELAY: BY_CORE,
        PubSubFeature.TTL: BY_CORE,
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BULK: NATIVE,
        PubSubFeature.BROADCAST: BY_DRIVER,
        PubSubFeature.PRIORITY: absent("the order of a log is that of publishing"),
        PubSubFeature.ORDER_BY_KEY: BY_DRIVER,
        PubSubFeature.INSPECT: _inspect(log[LogFeature.INSPECT]),
        PubSubFeature.PEEK_DELAYED: log[LogFeature.INSPECT],
        PubSubFeature.PURGE_GROUP: absent("it would move a position that the group's consumers hold"),
        PubSubFeature.SHARED: log[LogFeature.SHARED],
        PubSubFeature.DURABLE: log[LogFeature.DURABLE],
    }


def _inspect(log: Support) -> Support:
    if not log:
        return log
    return approximate(
        "messages that were rejected or released count as in flight until they are finished, as do those of a dead "
        "consumer; listeners of a broadcast are not listed"
    )
