"""The backlog of Celery's queues on RabbitMQ: all that is ready, to be moved to another engine, once and without loss.

Celery gives its messages no id of their own, by which the other engine could know one again that comes twice. So each
goes through a queue of Capa's first, where it has one:

    queue ──(transaction: id)──▶ _capa.celery.moved.<queue> ──▶ the other engine, by that id

A process that is killed leaves what it had taken in one of the two queues: never in both, since the broker carries out
a transaction as a whole.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import pika
from pika import exceptions

from capa_core.abilities import NATIVE, absent, approximate
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    PubSubFeature,
)
from capa_core.blocks.pubsub.inspection import GroupStatus, PeekedMessage, TopicStatus
from capa_core.blocks.pubsub.over_driver import LayoutOver
from capa_core.components.rabbitmq._connection import Channel
from capa_core.errors import DeadlineError, UnavailableError, UnsupportedError

if TYPE_CHECKING:
    from capa_core.components.rabbitmq.pubsub import RabbitPubSub

GROUP = "celery"
_MOVED = "_capa.celery.moved."
_MARK = "capa-moved"
"""The header with what a message had in its own queue, beside its new id."""
_CONTENT_TYPE = "application/vnd.celery.v2+json"
_LOOK_EVERY_S = 0.05
_REFUSED = 403
_KEPT = ("correlation_id", "reply_to", "delivery_mode", "priority")
"""The properties that kombu's envelope has as they are."""


class CeleryBacklog(LayoutOver["RabbitPubSub"]):
    """The queues of a fleet of Celery's workers for one who moves what waits in them. See `PubSubDriver.in_layout`.

    What a worker holds, the broker keeps for it, and gives back when its connection ends. One process at a time moves
    a queue, since its consumer of Capa's queue is exclusive: when it has ended, all that it held is ready there again.
    """

    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.GROUPS: absent("a queue of Celery has one group, of all its workers"),
        PubSubFeature.NACK_DELAY: absent("a message is moved, or released"),
        PubSubFeature.ORDER_BY_KEY: absent("a queue of Celery has no keys"),
        PubSubFeature.INSPECT: approximate(
            "what workers hold is not seen, and a look at a message would mark it as delivered before"
        ),
        PubSubFeature.PURGE_GROUP: absent("as for groups"),
    }

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """Take what waits in a queue: see `PubSubDriver.in_layout`. There are no leases."""
        del group, lease_s
        if temporary:
            raise UnsupportedError(f"{topic!r}: the backlog of a queue has no broadcasts.")
        return _Mover(self._under, topic)

    def depth(self, topic: str, group: str) -> int:
        """Return how many messages are ready, or on their way and held by nobody."""
        del group
        return sum(status.depth for status in self.inspect(topic).groups)

    def purge(self, topic: str) -> NoReturn:
        """Refuse it: what waits is to be moved."""
        raise UnsupportedError(f"{topic!r}: a backlog is moved. `rabbitmqctl purge_queue` empties a queue.")

    def topics(self) -> Iterator[str]:
        """Refuse it: the protocol has no list of queues."""
        raise UnsupportedError("RabbitMQ tells no client the names of its queues: name each.")

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: while there are workers, they may hold messages that are not seen."""
        channel = self._under.connections.consuming().channel()
        try:
            ready = channel.call("queue_declare", queue=topic, passive=True).method
        except exceptions.ChannelClosedByBroker:
            if self._under.topology.count(topic) is not None:
                raise
            return TopicStatus(name=topic)
        finally:
            channel.close()
        under_way = self._under.topology.count(_MOVED + topic) or 0
        status = GroupStatus(
            name=GROUP,
            depth=ready.message_count + under_way,
            in_flight=0,
            consumers=ready.consumer_count,
        )
        return TopicStatus(name=topic, groups=(status,))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """Refuse it: a look would change the messages."""
        del group, most, after, max_bytes
        raise UnsupportedError(f"{topic!r}: to look at a message of RabbitMQ marks it as delivered before.")


class _Taken(NamedTuple):
    """A message that came over a channel, which holds it, and its receipt."""

    channel: Channel
    method: Any
    properties: pika.BasicProperties
    body: bytes


class _Mover(ConsumerDriver):
    """One who moves what waits in a queue. What it holds when it ends is in Capa's queue, for the next one."""

    def __init__(self, under: RabbitPubSub, queue: str) -> None:
        self._connections = under.connections
        self._queue = queue
        self._moved = _MOVED + queue
        self._channel: Channel | None = None
        self._arrived: deque[_Taken] = deque()
        self._held: set[int] = set()
        self._closed = threading.Event()
        self._open()

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`: first what is on its way since a mover before was killed."""
        end = time.monotonic() + timeout_s
        while not self._closed.is_set():
            found = self._next(max_messages)
            if not found and self._bring(max_messages):
                continue
            if found or time.monotonic() >= end:
                return [_delivery(self._queue, each) for each in found]
            self._closed.wait(_LOOK_EVERY_S)
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        self._settle(self._ours(receipts), lambda _impl, _taken: None)

    def nack(self, receipts: Sequence[object], delay_s: float) -> NoReturn:
        """Refuse it: a queue of Celery's keeps no message for later."""
        del receipts, delay_s
        raise UnsupportedError(f"{self._queue!r}: a message of a backlog is moved, or released.")

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`: they are the last of their queue again."""
        self._settle(
            self._ours(receipts),
            lambda impl, taken: impl.basic_publish("", self._queue, taken.body, _as_it_was(taken.properties)),
        )

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`: what came over this channel is held by it."""
        ours = self._ours(receipts)
        return [receipt in ours for receipt in receipts]

    def close(self) -> None:
        """Leave the queue, and remove Capa's if nothing is in it."""
        if self._closed.is_set():
            return
        self._closed.set()
        channel, self._channel = self._channel, None
        if channel is None or channel.lost is not None:
            return
        if not self._held and not self._arrived:
            with suppress(exceptions.ChannelClosedByBroker):  # it is not empty after all
                channel.call("queue_delete", queue=self._moved, if_empty=True)
        channel.end_now()

    # --- the channel

    def _open(self) -> Channel:
        """Return the channel, in transactions; what one before held is in Capa's queue again.

        Raises:
            UnavailableError: Another process moves the queue.
        """
        if self._channel is not None and self._channel.lost is None:
            return self._channel
        channel = self._connections.consuming().channel()
        channel.call("queue_declare", queue=self._moved, durable=True)
        channel.call("tx_select")
        arrived: deque[_Taken] = deque()
        take = lambda _, *message: arrived.append(_Taken(channel, *message))  # noqa: E731 - two names are bound
        try:
            channel.call("basic_consume", queue=self._moved, on_message_callback=take, exclusive=True)
        except exceptions.ChannelClosedByBroker as error:
            if error.reply_code != _REFUSED:
                raise
            raise UnavailableError(
                f"another process moves the messages of {self._queue!r}, or has just been killed and RabbitMQ does not"
                " know it yet. Let it end: one at a time moves a queue"
            ) from error
        self._channel, self._arrived, self._held = channel, arrived, set()
        return channel

    def _next(self, most: int) -> list[_Taken]:
        """Return messages that have come to Capa's queue."""
        channel = self._open()
        # The broker answers behind all that it has sent: when it does, what was ready has come.
        channel.call("queue_declare", queue=self._moved, passive=True)
        found = [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
        self._held.update(each.method.delivery_tag for each in found)
        return found

    def _bring(self, most: int) -> int:
        """Move messages from Celery's queue to Capa's, each with an id, and return how many."""
        taken = self._got(self._queue, most)
        self._settle(
            taken,
            lambda impl, each: impl.basic_publish("", self._moved, each.body, _marked(each)),
        )
        return len(taken)

    def _got(self, queue: str, most: int) -> list[_Taken]:
        """Return messages that are ready in *queue*; they are held by the channel."""
        channel = self._open()
        taken: list[_Taken] = []
        self._ask(channel, lambda answer: _get_next(channel, queue, most, taken, answer))
        return taken

    def _settle(self, taken: Collection[_Taken], publish: Callable[[Any, _Taken], object]) -> None:
        """Publish what *publish* does of each, and remove them, as one transaction."""
        if not taken:
            return
        channel = next(iter(taken)).channel

        def work(answer: Future[Any]) -> None:
            for each in taken:
                publish(channel.impl, each)
                channel.impl.basic_ack(each.method.delivery_tag)
            channel.impl.tx_commit(callback=lambda _: _answer(answer))

        self._ask(channel, work)
        self._held.difference_update(each.method.delivery_tag for each in taken)

    def _ask(self, channel: Channel, work: Callable[[Future[Any]], object]) -> None:
        try:
            channel.ask(work)
        except DeadlineError:  # what comes yet would be held by it, and by nobody here
            channel.close()
            self._channel = None
            raise

    def _ours(self, receipts: Sequence[object]) -> list[_Taken]:
        """Return those of *receipts* that the channel still holds; the others are in Capa's queue again."""
        given = cast("Sequence[_Taken]", receipts)
        return [each for each in given if each.channel is self._channel and each.channel.lost is None]


def _get_next(channel: Channel, queue: str, most: int, taken: list[_Taken], answer: Future[Any]) -> None:
    """Get one message after the other until there are *most*, or no more. In the connection's thread."""
    impl = channel.impl

    def on_empty(_: Any) -> None:
        _answer(answer)

    def on_message(_: Any, method: Any, properties: Any, body: bytes) -> None:
        impl.callbacks.remove(impl.channel_number, pika.spec.Basic.GetEmpty, on_empty)
        taken.append(_Taken(channel, method, properties, body))
        if len(taken) == most:
            _answer(answer)
        elif impl.is_open:
            _get_next(channel, queue, most, taken, answer)

    impl.add_callback(on_empty, [pika.spec.Basic.GetEmpty], one_shot=True)
    impl.basic_get(queue, on_message)


def _answer(answer: Future[Any]) -> None:
    if not answer.done():
        answer.set_result(None)


def _marked(taken: _Taken) -> pika.BasicProperties:
    """Return the properties of a message in Capa's queue: with its id, and without what the broker would act on."""
    properties = taken.properties
    mark = {
        "id": uuid.uuid4().hex,
        "exchange": taken.method.exchange,
        "key": taken.method.routing_key,
        "expiration": properties.expiration,
    }
    return _changed(properties, headers={**(properties.headers or {}), _MARK: mark}, expiration=None)


def _as_it_was(properties: pika.BasicProperties) -> pika.BasicProperties:
    headers, mark = _parted(properties)
    return _changed(properties, headers=headers, expiration=mark.get("expiration"))


def _parted(properties: pika.BasicProperties) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the headers of a message as they were, and its mark."""
    headers = dict(properties.headers or {})
    mark = headers.pop(_MARK, {})
    return headers, mark if isinstance(mark, dict) else {}


def _changed(properties: pika.BasicProperties, **changes: Any) -> pika.BasicProperties:
    """Return a copy with *changes*; without a user, whom the broker takes from that user alone."""
    fields = {**vars(properties), "user_id": None, **changes}
    return pika.BasicProperties(**fields)


def _delivery(queue: str, taken: _Taken) -> Delivery:
    """Return a message in kombu's envelope, which is what waits in Celery's queues on other engines."""
    headers, mark = _parted(taken.properties)
    properties = {name: getattr(taken.properties, name) for name in _KEPT}
    properties["expiration"] = mark.get("expiration")
    envelope = {
        "body": b64encode(taken.body).decode(),
        "content-type": taken.properties.content_type,
        "content-encoding": taken.properties.content_encoding,
        "headers": headers,
        "properties": {
            **{name: value for name, value in properties.items() if value is not None},
            "delivery_info": {"exchange": mark.get("exchange", ""), "routing_key": mark.get("key", queue)},
            "body_encoding": "base64",
        },
    }
    data = json.dumps(envelope, default=_as_text).encode()
    return Delivery(str(mark.get("id", "")), data, _CONTENT_TYPE, {}, taken, 1)


def _as_text(value: object) -> str:
    """Return a header of a type that JSON has not, such as a time."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
