"""Pub/sub in a PostgreSQL database: SKIP LOCKED for competing consumers, LISTEN and NOTIFY to wake them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE
from capa_core.blocks.pubsub.driver import (
    LONGEST_ONCE_S,
    ConsumerDriver,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
    outcomes,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus, number_of_position
from capa_core.blocks.pubsub.over_tables import TableConsumer, peeked
from capa_core.components.postgres import _queue, _queue_status
from capa_core.components.postgres._driver import PostgresDriver
from capa_core.components.postgres._notices import Notices
from capa_core.components.postgres._queue_tables import PostgresQueues
from capa_core.components.postgres._settings import LONGEST_S, PostgresSettings
from capa_core.errors import CapaError

_LARGEST_BODY = 16 * 1024**2
_PAGE = 500


class PostgresPubSubSettings(PostgresSettings):
    """The database, and the life of broadcast groups.

    Attributes:
        abandoned_s: Seconds after the last heartbeat of its consumer at which a broadcast group is removed.
    """

    abandoned_s: float = Field(default=60.0, gt=0)


class PostgresPubSub(PostgresDriver[PostgresPubSubSettings], PubSubDriver[PostgresPubSubSettings]):
    """Pub/sub in the tables `queue` and `message` of the schema.

    Publishing and acknowledging return when the server has committed the change, as durably as its settings say.
    """

    block = "pubsub"
    steps: Sequence[str] = _queue.STEPS
    settings_type = PostgresPubSubSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BROADCAST: BY_DRIVER,
    }

    def __init__(self, settings: PostgresPubSubSettings) -> None:
        super().__init__(settings)
        self._notices = Notices(self.database)
        self._tables = PostgresQueues(self.database, self._notices, abandoned_s=settings.abandoned_s)

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`: a body is sent within the deadline; the server bears 1 GiB in a batch."""
        return PubSubLimits(max_message_bytes=_LARGEST_BODY, max_delay_s=LONGEST_S, max_once_s=LONGEST_ONCE_S)

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        is_new = self._tables.publish(topic, messages)
        self._tables.tidy()
        return outcomes(messages, is_new)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return TableConsumer(self._tables, topic, group, lease_s=lease_s, temporary=temporary)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return int(self.database.run(_queue_status.DEPTH, topic=topic, name=group)[0][0])

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        return int(self.database.run(_queue_status.PURGE, topic=topic)[0][0])

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        return int(self.database.run(_queue_status.PURGE_GROUP, topic=topic, name=group)[0][0])

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        after = ""
        while page := self.database.run(_queue_status.TOPICS, after=after, most=_PAGE):
            yield from (topic for (topic,) in page)
            after = page[-1][0]

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: the tables keep no record of consumers."""
        return _queue_status.topic_status(topic, self.database.run(_queue_status.INSPECT, topic=topic))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        values = {"topic": topic, "name": group, "most": most, "max_bytes": max_bytes}
        rows = self.database.run(_queue_status.PEEK, after=number_of_position(after), **values)
        return [peeked(row) for row in rows]

    def close(self) -> None:
        """See `Driver.close`."""
        self._notices.close()
        super().close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        super().forget()
        self._notices.forget()
