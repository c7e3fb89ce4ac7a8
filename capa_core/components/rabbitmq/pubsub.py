"""Pub/sub on RabbitMQ: quorum queues and publisher confirms, with delays and leases that need no plug-in."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import pika

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, absent, approximate
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus, number_of_position
from capa_core.components.rabbitmq import _delays, _messages
from capa_core.components.rabbitmq._connection import Connection
from capa_core.components.rabbitmq._connections import Connections
from capa_core.components.rabbitmq._errors import name_error
from capa_core.components.rabbitmq._inspection import Inspector
from capa_core.components.rabbitmq._members import Listener, Member
from capa_core.components.rabbitmq._messages import Pulled
from capa_core.components.rabbitmq._names import Names, target
from capa_core.components.rabbitmq._publisher import Outgoing, Publisher
from capa_core.components.rabbitmq._risks import risks
from capa_core.components.rabbitmq._settings import RabbitSettings
from capa_core.components.rabbitmq._topology import Topology
from capa_core.driver import Risk
from capa_core.errors import CapaError, NotFoundError

_HELD_ELSEWHERE = "messages that other processes hold"
_RETURNED_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.005

Read = TypeVar("Read")


class RabbitPubSub(PubSubDriver[RabbitSettings]):
    """Pub/sub on one exchange for each topic and one quorum queue for each group (`_topology.py` draws it).

    A publish returns when the broker has confirmed it. A rejected or released message is published again to the queue
    of its group, with its count, and acknowledged after that: a crash between the two makes a duplicate, no loss.
    """

    settings_type = RabbitSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.LEASE: BY_DRIVER,
        PubSubFeature.NACK_DELAY: BY_DRIVER,
        PubSubFeature.DELAY: BY_DRIVER,
        PubSubFeature.TTL: BY_CORE,
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BROADCAST: BY_DRIVER,
        PubSubFeature.PRIORITY: absent("quorum queues have none before RabbitMQ 4, and then two"),
        PubSubFeature.ORDER_BY_KEY: absent("a queue gives its messages to all consumers at once"),
        PubSubFeature.INSPECT: approximate(
            f"neither {_HELD_ELSEWHERE} nor broadcasts are seen, and a look moves what it sees behind the others"
        ),
        PubSubFeature.PURGE_GROUP: approximate(f"{_HELD_ELSEWHERE} stay"),
    }

    def __init__(self, settings: RabbitSettings) -> None:
        super().__init__(settings)
        self._open()

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`."""
        return PubSubLimits(max_message_bytes=self.settings.max_message_bytes, max_delay_s=_delays.LONGEST_S)

    def in_layout(self, layout: str, options: Mapping[str, Any]) -> PubSubDriver[Any]:
        """See `PubSubDriver.in_layout`: `celery-backlog`."""
        if layout != "celery-backlog":
            return super().in_layout(layout, options)
        from capa_core.components.rabbitmq._celery_backlog import CeleryBacklog  # a fleet is moved once

        return CeleryBacklog(self)

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        names = self.topology.names(topic)
        self.topology.topic(names)
        return self.send(names, [partial(self._outgoing, names, message) for message in messages])

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        names = self.topology.names(topic)
        consumer = (Listener if temporary else Member)(self, names, group, lease_s)
        self._consumers.add(consumer)
        return consumer

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`: messages that other processes hold are not counted."""
        names = self.topology.names(topic)
        queue = names.group(group)
        end, before = time.monotonic() + _RETURNED_WITHIN_S, -1
        while True:  # messages on their way to a consumer are neither held nor ready: the same twice is right
            count = self.when_still(queue, partial(self._count, names, queue))
            if count == before or time.monotonic() > end:
                return count
            before = count
            time.sleep(_LOOK_EVERY_S)

    def _count(self, names: Names, queue: str) -> int:
        ours = self._consumers_of(queue)  # a broadcast's queue may be counted by its consumer alone
        ready = ours[0].ready() if ours else self.topology.count(queue)
        counts = ready, self.topology.count(names.kept), self._delayed(names, queue)
        held, unseen = self.ours(queue)  # last: what the broker has sent before it counted has come by now
        return sum(count or 0 for count in counts) + len(held) + len(unseen)

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`: messages that other processes hold stay."""
        names = self.topology.names(topic)
        groups, delays = self.topology.listed(names)
        kept = self.topology.purge(names.kept)
        by_queue = {queue: self._purge(queue) for queue in groups}
        for waiting, queue in delays:
            by_queue[queue] = by_queue.get(queue, 0) + self.topology.purge(waiting)
        everywhere = by_queue.pop(names.exchange, 0)
        return kept + everywhere + max(by_queue.values(), default=0)

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`: messages that other processes hold stay."""
        names = self.topology.names(topic)
        queue = names.group(group)
        groups, delays = self.topology.listed(names)
        if queue not in groups:
            return 0
        alone = [names.exchange] if len(groups) == 1 else []
        delayed = [waiting for waiting, leads_to in delays if leads_to in (queue, *alone)]
        return self._purge(queue) + sum(map(self.topology.purge, delayed))

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`."""
        yield from self.topology.topics()

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`."""
        return Inspector(self, self.topology.names(topic)).status()

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`."""
        skip = number_of_position(after)
        return Inspector(self, self.topology.names(topic)).peek(group, skip, most, max_bytes)

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: the options of its connections, for one of your own: none may be shared by threads."""
        return {pika.connection.Parameters: lambda: self.settings.parameters()[0]}

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        return self.connections.about()

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return list(risks(self.connections.publishing().server, self.topology, self.settings))

    def close(self) -> None:
        """See `Driver.close`."""
        self.connections.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._open()

    # --- called by consumers and looks

    def ours(self, queue: str) -> tuple[list[Pulled], list[Pulled]]:
        """Return the messages of *queue* that consumers of this process hold, and those that came to them unasked."""
        each = [consumer.ours() for consumer in self._consumers_of(queue)]
        return [one for held, _ in each for one in held], [one for _, unseen in each for one in unseen]

    def when_still(self, queue: str, read: Callable[[], Read]) -> Read:
        """Return what *read* returns when our consumers of *queue* give nothing back to it meanwhile."""
        ours = self._consumers_of(queue)
        end = time.monotonic() + _RETURNED_WITHIN_S
        while True:
            moves = [each.moves for each in ours]
            seen = read()
            is_still = not any(number % 2 for number in moves) and moves == [each.moves for each in ours]
            if is_still or time.monotonic() > end:
                return seen
            time.sleep(_LOOK_EVERY_S)

    def send(self, names: Names, messages: Sequence[Callable[[], Outgoing]]) -> list[CapaError | None]:
        """Publish *messages* of a topic; those that found no exchange or queue once more, after that was mended."""
        outcomes = self.publisher.publish([make() for make in messages])
        lost = [place for place, error in enumerate(outcomes) if isinstance(error, NotFoundError)]
        if lost:
            self.topology.mend(names)
            again = self.publisher.publish([messages[place]() for place in lost])
            for place, error in zip(lost, again, strict=True):
                outcomes[place] = error
        return outcomes

    def publish_later(self, names: Names, queue: str, message: Outgoing, delay_s: float) -> Outgoing:
        """Return *message* on its way to *queue*, or to the topic's exchange, by the ladder of delays."""
        count = _delays.ticks(delay_s)
        self.topology.delays(names, count, queue)
        first = _delays.exchange(self.settings.prefix, _delays.levels(count)[0])
        return message._replace(exchange=first, key=_delays.key(count, target(queue)))

    def _open(self) -> None:
        settings = self.settings
        self.connections = Connections(settings)
        self.publisher = Publisher(self.connections.publishing)
        self.topology = self._topology(self.connections.publishing)
        self.listeners = self._topology(self.connections.consuming)
        self._consumers: weakref.WeakSet[Member] = weakref.WeakSet()

    def _topology(self, connect: Callable[[], Connection]) -> Topology:
        return Topology(
            connect, self.publisher.publish, prefix=self.settings.prefix, limit_s=self.settings.timeout_s
        )

    def _outgoing(self, names: Names, message: OutgoingMessage) -> Outgoing:
        outgoing = Outgoing(names.exchange, "", message.data, _messages.properties(message))
        if not message.delay_s:
            return outgoing
        return self.publish_later(names, names.exchange, outgoing, message.delay_s)

    def _delayed(self, names: Names, queue: str) -> int:
        _, delays = self.topology.listed(names)
        ours = (waiting for waiting, leads_to in delays if leads_to in (queue, names.exchange))
        return sum(self.topology.count(waiting) or 0 for waiting in ours)

    def _purge(self, queue: str) -> int:
        ready = self.topology.purge(queue)
        return ready + sum(consumer.drop_held() for consumer in self._consumers_of(queue))

    def _consumers_of(self, queue: str) -> list[Member]:
        return [consumer for consumer in list(self._consumers) if consumer.queue == queue]
