"""Looking at topics, groups and waiting messages.

AMQP has no way to look at a message but to receive it. So a look receives and gives back, which the broker counts as a
delivery: a list on the broker notes it, and who counts deliveries subtracts it. What is given back is behind the others
then, so that the next page is at the head of the queue, and the order is as before after a look at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

import pika

from capa_core.blocks.pubsub.inspection import GroupStatus, MessageState, PeekedMessage, TopicStatus
from capa_core.components.rabbitmq import _messages
from capa_core.components.rabbitmq._messages import Pulled
from capa_core.components.rabbitmq._names import Names
from capa_core.components.rabbitmq._puller import Puller

if TYPE_CHECKING:
    from capa_core.components.rabbitmq.pubsub import RabbitPubSub


_FEW = 10
_RETURN_S = 0.3
_LOOK_EVERY_S = 0.002


class _Place(NamedTuple):
    """A queue with messages of a group, and their state there."""

    queue: str
    state: MessageState


class _Seen(NamedTuple):
    properties: pika.BasicProperties
    body: bytes
    deliveries: int
    state: MessageState


_SKIPPED = _Seen(pika.BasicProperties(), b"", 0, MessageState.READY)


class Inspector:
    """Looks at one topic. Messages that other processes hold are not seen: AMQP does not tell of them."""

    def __init__(self, driver: RabbitPubSub, names: Names) -> None:
        self._driver = driver
        self._names = names
        self._groups, self._delays = driver.topology.listed(names)

    def status(self) -> TopicStatus:
        """Return the status of the topic."""
        groups = tuple(
            self._driver.when_still(queue, partial(self._group, queue, name))
            for queue, name in sorted(self._groups.items(), key=lambda item: item[1])
            if self._driver.topology.count(queue) is not None
        )
        if groups:
            return TopicStatus(name=self._names.topic, groups=groups)
        places = self._places(self._names.kept)
        return TopicStatus(
            name=self._names.topic, kept=self._counted(places), oldest_s=self._oldest_s(places, ())
        )

    def peek(self, group: str, skip: int, most: int, max_bytes: int) -> list[PeekedMessage]:
        """Return up to *most* messages of *group* after *skip* were seen: ready ones, delayed ones, then ours."""
        queue = self._names.group(group)
        return self._driver.when_still(queue, lambda: self._peek(queue, skip, most, max_bytes))

    def _peek(self, queue: str, skip: int, most: int, max_bytes: int) -> list[PeekedMessage]:
        places = self._places(queue if self._driver.topology.count(queue) is not None else self._names.kept)
        held, unseen = self._driver.ours(queue)
        ours = (
            *(_Seen(each.properties, each.body, each.deliveries, MessageState.IN_FLIGHT) for each in held),
            *(_Seen(each.properties, each.body, _earlier(each), MessageState.READY) for each in unseen),
        )
        numbered = enumerate(chain(self._seen(places, skip, most), ours), 1)
        return [_peeked(each, at, max_bytes) for at, each in islice(numbered, skip, skip + most)]

    def _group(self, queue: str, name: str) -> GroupStatus:
        places = self._places(queue)
        depth = self._counted(places)
        coming_again = self._counted(place for place in places if place.state is MessageState.IN_FLIGHT)
        held, unseen = self._driver.ours(queue)  # what the broker has sent before it counted has come by now
        return GroupStatus(
            name=name,
            depth=depth + len(held) + len(unseen),
            in_flight=coming_again + len(held),
            oldest_s=self._oldest_s(places, [*held, *unseen]),
        )

    def _places(self, queue: str) -> list[_Place]:
        """Return where messages wait that are in *queue* or come to it."""
        exchange = self._names.exchange
        state = {exchange: MessageState.DELAYED, queue: MessageState.IN_FLIGHT}
        delayed = (_Place(waiting, state[to]) for waiting, to in self._delays if to in state)
        return [_Place(queue, MessageState.READY), *delayed]

    def _counted(self, places: Iterable[_Place]) -> int:
        return sum(self._driver.topology.count(place.queue) or 0 for place in places)

    def _oldest_s(self, places: Iterable[_Place], held: Iterable[Pulled]) -> float | None:
        """Return the age of the oldest: in each queue, of a few or of the head, as to see all moves none."""
        seen = [each for place in places for each in self._looked_at(place.queue, self._few(place.queue))]
        times = [_messages.published_at(each.properties) for each in chain(seen, held)]
        return max(0.0, time.time() - min(times)) if times else None

    def _few(self, queue: str) -> int:
        there = self._driver.topology.count(queue) or 0
        return there if there <= _FEW else 1

    def _seen(self, places: Iterable[_Place], skip: int, most: int) -> Iterator[_Seen]:
        """Yield up to *most* messages of *places*, behind blanks for those that were seen before."""
        for place in places:
            there = self._driver.topology.count(place.queue) or 0
            yield from repeat(_SKIPPED, min(skip, there))
            count = min(max(0, there - skip), most)
            for each in self._looked_at(place.queue, count):
                yield _Seen(each.properties, each.body, each.deliveries - 1, place.state)
            skip, most = max(0, skip - there), most - count
            if not most:
                return

    def _looked_at(self, queue: str, most: int) -> list[Pulled]:
        """Return up to *most* messages at the head of *queue*, which stay there."""
        topology = self._driver.topology
        if not most or not topology.count(queue):
            return []
        looks = topology.peeks(self._names, queue)
        with closing(Puller(self._driver.connections.consuming, lambda: queue, math.inf)) as puller:
            pulled: list[Pulled] = []
            while len(pulled) < most and (more := puller.receive(most - len(pulled), 0)):
                pulled += more
            puller.leave()
            _, unseen = puller.ours()
            pulled += unseen
            if pulled:
                topology.note_peek(self._names, queue, [_messages.ident(each.properties) for each in pulled])
            left = topology.count(queue) or 0
            puller.requeue(puller.take_all())
            self._wait_for_return(queue, left + len(pulled))
        for each in pulled:
            each.deliveries = _messages.deliveries(each.properties, looks)
        return pulled

    def _wait_for_return(self, queue: str, count: int) -> None:
        """Return when the broker has taken the messages back, so that the next call sees them in their order.

        It tells nobody when it has. While others receive them, the number is not reached.
        """
        end = time.monotonic() + _RETURN_S
        while (self._driver.topology.count(queue) or 0) < count and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)


def _earlier(unseen: Pulled) -> int:
    return _messages.deliveries(unseen.properties, {}) - 1


def _peeked(each: _Seen, position: int, max_bytes: int) -> PeekedMessage:
    seen = _messages.delivery(each.properties, each.body, None, each.deliveries)
    return PeekedMessage.of(
        seen,
        str(position),
        max_bytes=max_bytes,
        delivery_count=each.deliveries,
        published_at=seen.published_at,
        state=each.state,
    )
