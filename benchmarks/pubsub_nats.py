"""The cost of messages on NATS JetStream: publish one or many, drain many, and a round trip; on disk at once."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import nats
from nats.js import JetStreamContext

from benchmarks.measure import Figures, Row, elapsed_s, interleave, ratio_at_least, ratio_at_most
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
from capa_core.components.nats.pubsub import NatsPubSub
from tests.servers.nats import NatsServer

PEER = "nats-py"
SAME = "1 kB, sync_interval always, each publish acknowledged"
TIMES = 50

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def run() -> list[Row]:
    """Measure both sides on one server."""
    with NatsServer.started() as server, _peer(server.url) as peer, opened(_driver(server.url)) as ours:
        return [
            Row("publish one, NATS", PEER, _publish(peer, ours), ratio_at_most(1.2), note=SAME),
            Row("publish many, NATS", PEER, _publish_many(peer, ours), ratio_at_least(1), "/s", SAME),
            Row(
                "drain, NATS",
                PEER,
                interleave(lambda: _drain_peer(peer), lambda: drained_per_s(ours)),
                ratio_at_least(0.7),
                "/s",
                f"{MANY} messages of 1 kB, in batches of {BATCH}; the peer waits for no answer to its acknowledgements",
            ),
            Row("round trip, NATS", PEER, _round_trip(peer, ours), ratio_at_most(1.5), note=SAME),
        ]


class Peer:
    """nats-py, on an event loop that runs while it is measured."""

    def __init__(self, run: Run, stream: JetStreamContext, pull: JetStreamContext.PullSubscription) -> None:
        self.run = run
        self.pull = pull
        self._stream = stream

    async def publish(self) -> None:
        """Publish one message."""
        await self._stream.publish("peer", BODY, headers={"Content-Type": KIND, **ATTRIBUTES})

    async def publish_many(self, count: int) -> None:
        """Publish messages, and then wait for all acknowledgements."""
        await asyncio.gather(*(self.publish() for _ in range(count)))

    async def take(self, count: int) -> None:
        """Fetch and acknowledge messages, in batches."""
        while count:
            messages = await self.pull.fetch(min(BATCH, count), timeout=5)
            for message in messages:
                await message.ack()
            count -= len(messages)


@contextmanager
def _peer(url: str) -> Iterator[Peer]:
    with asyncio.Runner() as runner:
        client = runner.run(nats.connect(url))
        stream = client.jetstream()
        runner.run(stream.add_stream(name="peer", subjects=["peer"], retention="interest"))
        pull = runner.run(stream.pull_subscribe("peer", durable="peer"))
        yield Peer(runner.run, stream, pull)
        runner.run(client.close())


def _driver(url: str) -> NatsPubSub:
    return NatsPubSub(NatsPubSub.settings_type(url=url))


def _publish(peer: Peer, ours: PubSub) -> Figures:
    async def several() -> None:
        for _ in range(TIMES):
            await peer.publish()

    def several_of_ours() -> None:
        for _ in range(TIMES):
            publish()

    publish = publishing(ours)
    figures = interleave(
        lambda: elapsed_s(lambda: peer.run(several())) / TIMES, lambda: elapsed_s(several_of_ours) / TIMES
    )
    _empty(peer, ours)
    return figures


def _publish_many(peer: Peer, ours: PubSub) -> Figures:
    figures = interleave(
        lambda: BATCH / elapsed_s(lambda: peer.run(peer.publish_many(BATCH))), lambda: many_per_s(ours)
    )
    _empty(peer, ours)
    return figures


def _drain_peer(peer: Peer) -> float:
    for _ in range(MANY // BATCH):
        peer.run(peer.publish_many(BATCH))
    return MANY / elapsed_s(lambda: peer.run(peer.take(MANY)))


def _round_trip(peer: Peer, ours: PubSub) -> Figures:
    seen = threading.Semaphore(0)

    async def several() -> None:
        for _ in range(TIMES):
            await peer.publish()
            await peer.take(1)

    def several_of_ours() -> None:
        for _ in range(TIMES):
            publishing(ours)()
            seen.acquire()

    with ours.subscribe("t", lambda _: seen.release(), raw=True):
        return interleave(
            lambda: elapsed_s(lambda: peer.run(several())) / TIMES,
            lambda: elapsed_s(several_of_ours) / TIMES,
        )


def _empty(peer: Peer, ours: PubSub) -> None:
    peer.run(peer.pull._js.purge_stream("peer"))
    ours.purge("t")
