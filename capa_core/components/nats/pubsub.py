"""Pub/sub on NATS JetStream: one stream for each topic, one pull consumer for each group."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

from nats import errors

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, absent, approximate
from capa_core.blocks.pubsub.driver import (
    LONGEST_LEASE_S,
    ConsumerDriver,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus
from capa_core.components.nats import _messages, _risks
from capa_core.components.nats._clock import ServerClock
from capa_core.components.nats._consumer import ACK, Listener, Member, Receipt
from capa_core.components.nats._driver import NatsDriver
from capa_core.components.nats._inspection import Inspector, Seen
from capa_core.components.nats._names import Names
from capa_core.components.nats._notes import Notes
from capa_core.components.nats._publisher import Attempts, Outgoing, Publisher
from capa_core.components.nats._puller import settle_all
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats._streams import Streams
from capa_core.driver import Risk
from capa_core.errors import CapaError, NotFoundError

_LONGEST_DELAY_S = 10**9
_MOST_AT_ONCE = 1_000


class NatsPubSub(NatsDriver, PubSubDriver[NatsSettings]):
    """Pub/sub on one stream for each topic and one pull consumer for each group (`_streams.py` draws it).

    A publish returns when the server has acknowledged each message. One that is repeated, as its outcome was not known,
    is stored once within two minutes. The native client lives on the event loop of the connection's thread,
    `client.loop`: use it by `asyncio.run_coroutine_threadsafe`.
    """

    settings_type = NatsSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.LEASE: BY_DRIVER,
        PubSubFeature.TTL: BY_CORE,
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.PRIORITY: absent("a stream has one order"),
        PubSubFeature.ORDER_BY_KEY: absent("a consumer gives its messages to all members of a group at once"),
        PubSubFeature.INSPECT: approximate(
            "where a topic has several groups, a message that another process acknowledged before an earlier one is "
            "shown as in flight until that is acknowledged too"
        ),
        PubSubFeature.PURGE_GROUP: BY_DRIVER,
    }

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`."""
        return PubSubLimits(
            max_message_bytes=self.settings.max_message_bytes,
            max_delay_s=_LONGEST_DELAY_S,
            max_batch=_MOST_AT_ONCE,
        )

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        names = self.streams.names(topic)
        self.streams.topic(names)
        idents = [self._attempts.earlier(message) or self._new_id() for message in messages]
        outgoing = [
            self._outgoing(names, message, ident) for message, ident in zip(messages, idents, strict=True)
        ]
        try:
            return self._send(names, outgoing)
        except errors.Error:
            self._attempts.note(zip(messages, idents, strict=True))
            raise

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        consumer = (Listener if temporary else Member)(self, self.streams.names(topic), group, lease_s)
        self._consumers.add(consumer)
        return consumer

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return Inspector(self, self.streams.names(topic)).depth(group)

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        return self.streams.purge(self.streams.names(topic))

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`."""
        names = self.streams.names(topic)
        consumer = names.consumer(group)
        others = [each["name"] for each in self.streams.groups(names)]
        if consumer not in others:
            return 0
        if others == [consumer]:
            return self.streams.purge(names)
        return self._acknowledge_all(names, group)

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        return self.streams.topics()

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        return Inspector(self, self.streams.names(topic)).status()

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        return Inspector(self, self.streams.names(topic)).peek(group, most, after, max_bytes)

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return [*super().risks(), *_risks.of_streams(self.streams, self.topics())]

    # --- called by consumers and looks

    def held(self, stream: str, consumer: str) -> list[Receipt]:
        """Return the deliveries that consumers of this process hold."""
        ours = (each for each in list(self._consumers) if each.place[:2] == (stream, consumer))
        return [receipt for each in ours for receipt in each.held()]

    # --- parts

    def _open(self) -> None:
        super()._open()
        self.streams = Streams(self.link, self.settings)
        self.notes = Notes(self.settings, self.link.prefix)
        self.seen = Seen()
        self._publisher = Publisher(self.link)
        self._attempts = Attempts()
        self._consumers: weakref.WeakSet[Member] = weakref.WeakSet()
        self._process = uuid4().hex
        self._numbers = count()
        self._clock = ServerClock()

    def _send(self, names: Names, outgoing: list[Outgoing]) -> list[CapaError | None]:
        """Publish *outgoing*; those that found no stream once more, after an operator's deletion was mended."""
        outcomes = self._publisher.publish(outgoing)
        lost = [place for place, error in enumerate(outcomes) if isinstance(error, NotFoundError)]
        if lost:
            self.streams.mend(names)
            again = self._publisher.publish([outgoing[place] for place in lost])
            for place, error in zip(lost, again, strict=True):
                outcomes[place] = error
        return outcomes

    def _outgoing(self, names: Names, message: OutgoingMessage, ident: str) -> Outgoing:
        if not message.delay_s:
            headers = {_messages.ID: ident, _messages.CAPA: _messages.header(message)}
            return Outgoing(names.now, message.data, headers)
        due = datetime.fromtimestamp(
            self._clock.latest(lambda: self.streams.server_time(names)) + message.delay_s, UTC
        )
        headers = {
            _messages.ID: ident,
            _messages.CAPA: _messages.header(message, time.time()),
            _messages.AT: f"@at {due.isoformat(timespec='microseconds').replace('+00:00', 'Z')}",
            _messages.TARGET: names.now,
        }
        return Outgoing(names.delayed(ident.replace(".", "-")), message.data, headers)

    def _new_id(self) -> str:
        return f"{self._process}.{next(self._numbers)}"

    def _acknowledge_all(self, names: Names, group: str) -> int:
        """Acknowledge what waits for *group*, whoever holds it, and return the number.

        The server takes an acknowledgement of any message that is on its way, by the number of the message.
        """
        member = Member(self, names, group, LONGEST_LEASE_S)
        count = 0
        while deliveries := member.receive(_MOST_AT_ONCE, 0):
            member.ack([delivery.receipt for delivery in deliveries])
            count += len(deliveries)
        place, found = member.place, self.streams.consumer(names, member.place.consumer)
        if found is None or not found["num_ack_pending"]:
            return count
        replies = [place.reply(number) for number in Inspector(self, names).numbers(found)]
        self.link.exchange(settle_all(replies, ACK))
        for consumer in self._consumers:
            if consumer.place == place:
                consumer.forget(consumer.held())
        return count + int(found["num_ack_pending"])
