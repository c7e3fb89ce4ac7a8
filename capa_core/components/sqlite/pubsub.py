"""Pub/sub in one SQLite file: durable, shared by the processes of one machine, no server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pydantic import Field

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, How, Support
from capa_core.blocks.pubsub.driver import (
    LONGEST_ONCE_S,
    ConsumerDriver,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
    outcomes,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus
from capa_core.blocks.pubsub.over_tables import TableConsumer
from capa_core.components.sqlite import _queue, _queue_status
from capa_core.components.sqlite._driver import SqliteDriver, SqliteSettings
from capa_core.components.sqlite._file import largest_row
from capa_core.components.sqlite._queue_tables import SqliteQueues
from capa_core.components.sqlite._wakeup import Wakeups
from capa_core.errors import CapaError

_PAGE = 500
_BESIDE_BODY = 512 * 1024
"""Bytes of a row that are left for attributes, key, id and content type."""


class SqlitePubSubSettings(SqliteSettings):
    """The place of the file, and the life of broadcast groups.

    Attributes:
        abandoned_s: Seconds after the last heartbeat of its consumer at which a broadcast group is removed.
    """

    abandoned_s: float = Field(default=60.0, gt=0)


class SqlitePubSub(SqliteDriver[SqlitePubSubSettings], PubSubDriver[SqlitePubSubSettings]):
    """Pub/sub in the tables `queue` and `message` of `<folder>/pubsub.db`.

    Publishing and acknowledging return when the change is on the disk; concurrent threads share an fsync.
    """

    block = "pubsub"
    steps: Sequence[str] = _queue.SCHEMA
    probe = "SELECT 1 FROM queue LIMIT 1"
    settings_type = SqlitePubSubSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BROADCAST: BY_DRIVER,
        PubSubFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
    }

    def __init__(self, settings: SqlitePubSubSettings) -> None:
        super().__init__(settings)
        self._leases = self.open_file(durable=False)
        self._wakeups = Wakeups(settings.folder / "pubsub.wake")
        self._tables = SqliteQueues(
            self.database, self._leases, self._wakeups, abandoned_s=settings.abandoned_s
        )

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`: a row also has the attributes and the names."""
        return PubSubLimits(max_message_bytes=largest_row() - _BESIDE_BODY, max_once_s=LONGEST_ONCE_S)

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        is_new = self.database.write(lambda connection: _queue.add_new(connection, topic, messages))
        self._wakeups.signal(topic)
        return outcomes(messages, is_new)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        return TableConsumer(self._tables, topic, group, lease_s=lease_s, temporary=temporary)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return self.database.read(lambda connection: _queue.depth(connection, topic, group))

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        count = self.database.write(lambda connection: _queue.purge(connection, topic))
        self._tables.tidy()
        return count

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        after = ""
        while page := self.database.read(partial(_queue_status.topics, after=after, most=_PAGE)):
            yield from page
            after = page[-1]

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: the file keeps no record of consumers."""
        return self.database.read(lambda connection: _queue_status.inspect(connection, topic))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        return self.database.read(
            lambda connection: _queue_status.peek(
                connection, topic, group, most, after=after, max_bytes=max_bytes
            )
        )

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        count = self.database.write(lambda connection: _queue_status.purge(connection, topic, group))
        self._tables.tidy()
        return count

    def close(self) -> None:
        """See `Driver.close`."""
        self._wakeups.close()
        self._leases.close()
        super().close()
