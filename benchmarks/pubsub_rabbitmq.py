"""The cost of messages on RabbitMQ: publish one or many, drain many, and a round trip; quorum queues and confirms."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pika
from pika.adapters.blocking_connection import BlockingChannel

from benchmarks.measure import Figures, Row, compare, elapsed_s, interleave, ratio_at_least, ratio_at_most
from benchmarks.messages import (
    ATTRIBUTES,
    BATCH,
    BODY,
    KIND,
    MANY,
    drained_per_s,
    many_per_s,
    opened,
    publishing,
)
from capa_core.blocks.pubsub import PubSub
from capa_core.components.rabbitmq.pubsub import RabbitPubSub
from tests.servers.rabbitmq import RabbitServer

LASTING = pika.BasicProperties(content_type=KIND, headers=dict(ATTRIBUTES), delivery_mode=2, message_id="1")
PEER = "pika's BlockingChannel"
SAME = "1 kB, quorum queue, each publish confirmed"


def run() -> list[Row]:
    """Measure both sides on one broker."""
    with RabbitServer.started() as server, _peer(server.url) as peer, opened(_driver(server.url)) as ours:
        return [
            Row("publish one, RabbitMQ", PEER, _publish(peer, ours), ratio_at_most(1.2), note=SAME),
            Row("publish many, RabbitMQ", PEER, _publish_many(peer, ours), ratio_at_least(1), "/s", SAME),
            Row(
                "drain, RabbitMQ",
                PEER,
                interleave(lambda: _drain_peer(peer), lambda: drained_per_s(ours)),
                ratio_at_least(0.7),
                "/s",
                f"{MANY} messages of 1 kB in batches of {BATCH}, acknowledged together; the peer's prefetch too",
            ),
            Row("round trip, RabbitMQ", PEER, _round_trip(peer, ours), ratio_at_most(1.5), note=SAME),
        ]


@contextmanager
def _peer(url: str) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare("peer", durable=True, arguments={"x-queue-type": "quorum"})
        channel.confirm_delivery()
        yield channel


def _driver(url: str) -> RabbitPubSub:
    return RabbitPubSub(RabbitPubSub.settings_type(url=url))


def _publish(peer: BlockingChannel, ours: PubSub) -> Figures:
    figures = compare(_publishing_peer(peer), publishing(ours))
    _empty(peer, ours)
    return figures


def _publish_many(peer: BlockingChannel, ours: PubSub) -> Figures:
    def one_by_one() -> None:
        for _ in range(BATCH):
            _publishing_peer(peer)()

    figures = interleave(
        lambda: BATCH / elapsed_s(one_by_one),
        lambda: many_per_s(ours),
    )
    _empty(peer, ours)
    return figures


def _drain_peer(peer: BlockingChannel) -> float:
    channel = peer.connection.channel()
    for _ in range(MANY):
        channel.basic_publish("", "peer", BODY, LASTING)
    while channel.queue_declare("peer", passive=True).method.message_count < MANY:
        pass
    channel.basic_qos(prefetch_count=BATCH)

    def drain() -> None:
        for number, (method, _, _body) in enumerate(channel.consume("peer"), 1):
            if number % BATCH == 0:
                channel.basic_ack(method.delivery_tag, multiple=True)
            if number == MANY:
                return

    took_s = elapsed_s(drain)
    channel.cancel()
    channel.close()
    return MANY / took_s


def _round_trip(peer: BlockingChannel, ours: PubSub) -> Figures:
    coming, seen = peer.consume("peer", inactivity_timeout=5), threading.Semaphore(0)

    def through_peer() -> None:
        _publishing_peer(peer)()
        method, _, _body = next(coming)
        peer.basic_ack(method.delivery_tag)

    def through_capa() -> None:
        publishing(ours)()
        seen.acquire()

    with ours.subscribe("t", lambda _: seen.release(), raw=True):
        return compare(through_peer, through_capa)


def _publishing_peer(channel: BlockingChannel) -> Callable[[], None]:
    return partial(channel.basic_publish, "", "peer", BODY, LASTING, mandatory=True)


def _empty(peer: BlockingChannel, ours: PubSub) -> None:
    peer.queue_purge("peer")
    ours.purge("t")
