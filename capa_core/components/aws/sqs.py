"""Pub/sub on SQS: a queue for each group, with delays, bodies and groups that SQS itself does not have."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import boto3
from botocore.client import BaseClient

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, Feature, Support, absent, approximate
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import (
    DEAD_DELIVERIES,
    DEAD_GROUP,
    DEAD_ID,
    DEAD_REASON,
    DEAD_TOPIC,
    PeekedMessage,
    TopicStatus,
    dead_topic,
    number_of_position,
)
from capa_core.components.aws._bodies import Bodies
from capa_core.components.aws._consumer import SqsConsumer, SqsListener, fetched
from capa_core.components.aws._driver import AwsDriver
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._inspection import Inspector
from capa_core.components.aws._messages import Carried, Entry, Pulled, entry
from capa_core.components.aws._names import Names
from capa_core.components.aws._queues import Links, Queues
from capa_core.components.aws._risks import risks
from capa_core.components.aws._sender import Sender
from capa_core.components.aws._settings import FOR_ATTRIBUTES_BYTES, QueueSettings, SqsSettings
from capa_core.components.aws._uncounted import Uncounted
from capa_core.driver import Risk
from capa_core.errors import CapaError, InvalidArgumentError, UnsupportedError

_LARGEST_OBJECT = 2 * 1024**3
_LONGEST_FIFO_DELAY_S = 42_000
_HELD_ELSEWHERE = "messages that other processes hold"

_FEATURES: Mapping[Feature, Support] = {
    **dict.fromkeys(PubSubFeature, NATIVE),
    PubSubFeature.GROUPS: BY_DRIVER,
    PubSubFeature.NACK_DELAY: BY_DRIVER,
    PubSubFeature.DELAY: BY_DRIVER,
    PubSubFeature.TTL: BY_CORE,
    PubSubFeature.DEAD_LETTER: BY_CORE,
    PubSubFeature.BROADCAST: BY_DRIVER,
    PubSubFeature.PRIORITY: absent("SQS has none"),
    PubSubFeature.ORDER_BY_KEY: absent("only FIFO queues order by key: set `fifo`"),
    PubSubFeature.INSPECT: approximate(
        f"counts are SQS's own, which lag behind by up to a minute; {_HELD_ELSEWHERE} are counted and not seen, and a "
        "look moves what it sees behind the others"
    ),
    PubSubFeature.PEEK_DELAYED: absent("SQS gives a delayed message to nobody"),
    PubSubFeature.PURGE_GROUP: approximate(
        "SQS takes up to a minute, in which new messages may go too, and does it once a minute"
    ),
}
_FIFO_FEATURES: Mapping[Feature, Support] = {
    **_FEATURES,
    PubSubFeature.DELAY: BY_CORE,
    PubSubFeature.ORDER_BY_KEY: NATIVE,
}


class SqsPubSub(AwsDriver[QueueSettings], PubSubDriver[QueueSettings]):
    """Pub/sub on one queue for each group of a topic; the publisher sends to each (`_queues.py` draws it).

    Rejected messages are hidden by SQS; a released one, and one that waits longer or shorter than SQS can, is stored
    again with its count, and deleted after that: a crash between the two makes a duplicate, no loss. A delay above 15
    minutes is made of several, and whichever consumer gets the message early sends it on.
    """

    settings_type: ClassVar[type[QueueSettings]] = SqsSettings
    features = _FEATURES

    def __init__(self, settings: QueueSettings) -> None:
        super().__init__(settings)
        if settings.is_fifo:
            self.features = _FIFO_FEATURES  # type: ignore[misc] # of this one object

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`."""
        largest = self.settings.largest_bytes - FOR_ATTRIBUTES_BYTES
        return PubSubLimits(
            max_message_bytes=_LARGEST_OBJECT if self.settings.bucket else largest,
            max_delay_s=_LONGEST_FIFO_DELAY_S if self.settings.is_fifo else None,
        )

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        names = self.queues.names(topic)
        try:
            return self._publish(names, messages)
        except AwsError as error:
            if not error.is_missing:
                raise
        self.forget_topic(names)  # an operator deleted the queue, or a broadcast has just left
        return self._publish(names, messages)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        names = self.queues.names(topic)
        consumer = (SqsListener if temporary else SqsConsumer)(self, names, group, lease_s)
        self._consumers.add(consumer)
        return consumer

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`: by AWS's approximate counts."""
        urls = self.queues.of_group(self.queues.names(topic), group)
        return sum(self.queues.counts(url).all for url in urls)

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`: SQS takes up to a minute, in which new messages may go too."""
        names = self.queues.names(topic)
        base = self.queues.find(names.base)
        return max(self._purge([*([base] if base else []), *self.queues.others(names).values()]), default=0)

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`: as `purge`."""
        names = self.queues.names(topic)
        base = self.queues.find(names.base)
        known = {*self.queues.groups(names), self.queues.owner(names, base) if base else None}
        return sum(self._purge(self.queues.of_group(names, group))) if group in known else 0

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        return self.queues.topics()

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        return Inspector(self, self.queues.names(topic)).status()

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`: ready messages, and those that this process holds."""
        skip = number_of_position(after)
        return Inspector(self, self.queues.names(topic)).peek(group, skip, most, max_bytes)

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: boto3's client of SQS, safe for many threads, and its session, which is not.

        The client's requests are not repeated, and end within `timeout_s`.
        """
        return {BaseClient: lambda: self.connections.native("sqs"), boto3.Session: self.connections.session}

    def ping(self) -> str:
        """See `Driver.ping`."""
        self.connections.call("sqs", "ListQueues", QueueNamePrefix=self.settings.prefix, MaxResults=1)
        return f"Amazon {self.connections.place('sqs')}"

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return list(risks(self.queues))

    # --- called by consumers and looks

    def join(self, names: Names, group: str) -> str:
        """Have the queue of a lasting group."""
        return self.queues.join(names, group)

    def join_listener(self, names: Names, group: str, generation: int) -> str:
        """Have the queue of a broadcast."""
        return self.queues.join_listener(names, group, generation)

    def leave(self, names: Names, url: str) -> None:
        """End the queue of a broadcast."""
        self.queues.drop(names, url)

    def forget_topic(self, names: Names) -> None:
        """Look for the queues of a topic anew: one was deleted."""
        self.queues.forget(names)

    def fetch(self, url: str, count: int, wait_s: int, hidden_s: int) -> list[Pulled]:
        """Return the messages of one request."""
        found = fetched(self, url, count, wait_s, hidden_s)
        self._uncounted.apply(found)
        return found

    def held(self, url: str) -> list[Pulled]:
        """Return the messages of a queue that consumers of this process hold."""
        return [one for consumer in list(self._consumers) if consumer.url == url for one in consumer.held()]

    def uncounted(self, messages: Sequence[Pulled], times: int = 1) -> None:
        """Note that SQS counts deliveries that were none, or misses some; only this process knows."""
        self._uncounted.note(messages, times)

    def read_body(self, one: Pulled) -> bool:
        """Fill in the body of a message that points to it; return whether it is there."""
        if self.bodies is None:
            raise UnsupportedError(
                f"the body of message {one.message.id} is in S3. Set `bucket` of this component, as its publisher does."
            )
        data = self.bodies.read(one.stored)
        if data is not None:
            one.message = replace(one.message, data=data)
        return data is not None

    def delete_bodies(self, messages: Sequence[Pulled]) -> None:
        """Delete the bodies of acknowledged messages."""
        keys = [one.stored for one in messages if one.stored]
        if keys and self.bodies is not None:
            self.bodies.delete(keys)

    def bury(self, names: Names, group: str, messages: Sequence[Pulled]) -> None:
        """Publish *messages*, whose bodies are gone, as dead letters."""
        dead = [_dead(names, group, one) for one in messages]
        for error in self.publish(dead_topic(names.topic), dead):
            if error is not None:
                raise error

    # --- parts

    def _open(self) -> None:
        settings = self.settings
        super()._open()
        self.queues = Queues(self.connections, settings, self._links())
        self.sender = Sender(self.connections, settings.largest_bytes)
        self.bodies = Bodies(self.connections, settings.bucket) if settings.bucket else None
        self._uncounted = Uncounted()
        self._consumers: weakref.WeakSet[SqsConsumer] = weakref.WeakSet()

    def _links(self) -> Links:
        """Return what a new queue needs beside itself."""
        return Links()

    def _publish(self, names: Names, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        return self._send(names, self.queues.routes(names), messages)

    def _send(
        self, names: Names, urls: Sequence[str], messages: Sequence[OutgoingMessage]
    ) -> list[CapaError | None]:
        """Send *messages* to each queue, and return the first error of each message."""
        outcomes: list[CapaError | None] = [None] * len(messages)
        for url in urls:
            entries = [self._entry(names, message) for message in messages]
            fitting = [(place, one) for place, one in enumerate(entries) if isinstance(one, Entry)]
            errors = self.sender.send(url, [one for _, one in fitting])
            found = {place: error for (place, _), error in zip(fitting, errors, strict=True)}
            found |= {place: one for place, one in enumerate(entries) if isinstance(one, CapaError)}
            outcomes = [before or found[place] for place, before in enumerate(outcomes)]
        return outcomes

    def _entry(self, names: Names, message: OutgoingMessage) -> Entry | CapaError:
        """Return *message* for a request; its body is stored elsewhere, or it is refused, if it is too large."""
        carried = Carried(wait_s=message.delay_s)
        made = entry(message, carried, fifo=self.settings.is_fifo)
        if made.size <= self.settings.largest_bytes:
            return made
        if self.bodies is None:
            return InvalidArgumentError(
                f"message {message.id} has {made.size} bytes with its attributes, and SQS takes "
                f"{self.settings.largest_bytes}. Set `bucket` of this component, an S3 bucket for such bodies."
            )
        carried.stored = self.bodies.store(names, message.data)
        return entry(message, carried, fifo=self.settings.is_fifo)

    def _purge(self, urls: Sequence[str]) -> list[int]:
        counts = [self.queues.counts(url).all for url in urls]
        for url in urls:
            self.queues.purge(url)
        for consumer in list(self._consumers):
            if consumer.url in urls:
                consumer.drop_held()
        return counts


def _dead(names: Names, group: str, one: Pulled) -> OutgoingMessage:
    attributes = {
        **one.message.attributes,
        DEAD_TOPIC: names.topic,
        DEAD_GROUP: group,
        DEAD_ID: one.message.id,
        DEAD_DELIVERIES: str(one.deliveries),
        DEAD_REASON: f"its body is gone from the bucket, key {one.stored}",
    }
    return OutgoingMessage(f"{one.message.id}.{group}", b"", one.message.content_type, attributes)
