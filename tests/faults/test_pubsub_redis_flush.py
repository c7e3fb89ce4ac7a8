"""FLUSHALL on Redis while messages are acknowledged: what is published after it is delivered, and the loss is told."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from capa_core.blocks.pubsub import PubSub
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.errors import CapaError

pytestmark = pytest.mark.server("redis")
ROUNDS = 60


@pytest.mark.timeout(120)
def test_flushall_during_an_ack_loses_nothing_that_is_published_after_it(server, caplog):
    with (
        PubSub(RedisPubSub(RedisPubSubSettings(url=server.url))) as pubsub,
        redis.Redis.from_url(server.url) as operator,
        ThreadPoolExecutor(2) as threads,
    ):
        consumer = pubsub.consumer("t", raw=True)
        refused, found = [], []
        for number in range(ROUNDS):
            together = threading.Barrier(2)
            pubsub.publish_many("t", [b"before"] * 50, raw=True)
            messages = consumer.receive(50, 5)
            flushing = threads.submit(at_once, together, operator.flushall)
            acking = threads.submit(at_once, together, consumer.ack, messages)
            flushing.result()
            if (error := acking.exception()) is not None:
                refused.append(error)
            pubsub.publish("t", b"%d" % number, raw=True)
            found += received(consumer, b"%d" % number)

    assert [b"%d" % number for number in range(ROUNDS)] == [data for data in found if data != b"before"]
    assert [] == [error for error in refused if not isinstance(error, CapaError)]
    assert "the group of a consumer had been dropped: it has joined again" in caplog.text


def at_once(together, call, *arguments):
    together.wait(10)
    return call(*arguments)


def received(consumer, last):
    """Return what the consumer receives and acknowledges up to *last*."""
    found = []
    while last not in found:
        messages = consumer.receive(50, 10)
        assert messages, f"{last!r} was published after the flush and does not come: {found}"
        consumer.ack(messages)
        found += [message.data for message in messages]
    return found
