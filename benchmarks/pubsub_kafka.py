"""The cost of messages on Kafka: publish one or many, drain many, and a round trip; stored on all replicas in sync."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer

from benchmarks.measure import Figures, Row, compare, elapsed_s, interleave, ratio_at_least, ratio_at_most
from benchmarks.messages import ATTRIBUTES, BATCH, BODY, KIND, MANY, many_per_s, opened, publishing
from capa_core.blocks.pubsub import PubSub
from capa_core.components.kafka.pubsub import KafkaPubSub
from tests.servers.kafka import KafkaServer

PEER = "confluent-kafka"
SAME = "1 kB, idempotent, acks=all, linger.ms=0"


def run() -> list[Row]:
    """Measure both sides on one broker."""
    with KafkaServer.started() as server, opened(_driver(server.url)) as ours:
        peer = _Peer(server.servers)
        with peer.consuming() as consumer:
            drained = interleave(lambda: _drain_peer(peer, consumer), lambda: _drain(ours))
        many = interleave(
            lambda: BATCH / elapsed_s(lambda: peer.publish_many(BATCH)), lambda: many_per_s(ours)
        )
        ours.purge("t")
        return [
            Row(
                "publish one, Kafka",
                PEER,
                compare(peer.publish, publishing(ours)),
                ratio_at_most(1.2),
                note=SAME,
            ),
            Row(
                "publish many, Kafka", PEER, many, ratio_at_least(1 / 1.2), "/s", f"{SAME}, {BATCH} together"
            ),
            Row(
                "drain, Kafka",
                PEER,
                drained,
                ratio_at_least(0.7),
                "/s",
                f"{MANY} messages of 1 kB in batches of {BATCH}, read, and committed before the next",
            ),
            Row("round trip, Kafka", PEER, _round_trip(peer, ours), ratio_at_most(1.5), note=SAME),
        ]


class _Peer:
    """The engine's own client: a producer with the durability of the component, and a consumer."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 0})

    def publish(self, count: int = 1) -> None:
        """Publish messages and wait until all are stored."""
        self._send(count, list(ATTRIBUTES.items()))

    def publish_many(self, count: int) -> None:
        """Publish messages with the headers of those without attributes, and wait until all are stored."""
        self._send(count, [("id", "0b6d8c0e" * 4), ("content-type", KIND)])

    def _send(self, count: int, headers: list[tuple[str, str]]) -> None:
        for _ in range(count):
            self._producer.produce("peer", BODY, headers=headers)
        self._producer.flush()

    @contextmanager
    def consuming(self) -> Iterator[Consumer]:
        """Yield a consumer that has joined its group."""
        self.publish()
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "peer",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )
        consumer.subscribe(["peer"])
        while not consumer.consume(1, 1):
            pass
        try:
            yield consumer
        finally:
            consumer.close()


def _driver(url: str) -> KafkaPubSub:
    return KafkaPubSub(KafkaPubSub.settings_type(url=url, partitions=1))  # as the peer's topic has


def _drain_peer(peer: _Peer, consumer: Consumer) -> float:
    peer.publish_many(MANY)

    def drain() -> None:
        left = MANY
        while left:
            messages = consumer.consume(min(BATCH, left), 5)
            for each in messages:  # it holds them as bytes of C until they are read
                each.value(), each.key(), each.headers(), each.timestamp()
            consumer.commit(asynchronous=False)
            left -= len(messages)

    return MANY / elapsed_s(drain)


def _drain(ours: PubSub) -> float:
    consumer = ours.consumer("t", raw=True)
    consumer.receive(1, 0)  # it joins its group, as the peer has done
    ours.publish_many("t", [BODY] * MANY, raw=True)

    def drain() -> None:
        left = MANY
        while left:
            messages = consumer.receive(BATCH, 5)
            consumer.ack(messages)
            left -= len(messages)

    took_s = elapsed_s(drain)
    consumer.close()
    return MANY / took_s


def _round_trip(peer: _Peer, ours: PubSub) -> Figures:
    seen = threading.Semaphore(0)

    def through_capa() -> None:
        publishing(ours)()
        seen.acquire()

    with peer.consuming() as consumer, ours.subscribe("t", lambda _: seen.release(), raw=True):
        through_peer = _through(peer, consumer)
        for warm in (through_peer, through_capa):
            warm()
        time.sleep(1)  # the group of both has settled
        return compare(through_peer, through_capa)


def _through(peer: _Peer, consumer: Consumer) -> Callable[[], None]:
    def trip() -> None:
        peer.publish()
        while not consumer.consume(1, 1):
            pass
        consumer.commit(asynchronous=False)

    return trip
