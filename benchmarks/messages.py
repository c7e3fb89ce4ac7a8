"""The messages that the benchmarks of each engine publish and drain."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.measure import elapsed_s
from capa_core.blocks.pubsub import PubSub, PubSubDriver

BODY = b"x" * 1_000
KIND = "application/json"
ATTRIBUTES = {"lang": "py", "task": "orders.tasks.pay", "id": "0b6d8c0e"}
MANY = 5_000
BATCH = 100


@contextmanager
def opened(driver: PubSubDriver) -> Iterator[PubSub]:
    """Open pub/sub with a group on the topic `t`."""
    with PubSub(driver) as pubsub:
        pubsub.consumer("t").close()
        yield pubsub


def publishing(pubsub: PubSub) -> Callable[[], object]:
    """Return the publishing of one message."""
    return partial(pubsub.publish, "t", BODY, content_type=KIND, attributes=ATTRIBUTES, id="1", raw=True)


def many_per_s(pubsub: PubSub) -> float:
    """Publish a batch and return the messages in a second."""
    return BATCH / elapsed_s(lambda: pubsub.publish_many("t", [BODY] * BATCH, raw=True))


def drained_per_s(pubsub: PubSub) -> float:
    """Publish messages, take and acknowledge them in batches, and return how many of these in a second."""
    pubsub.publish_many("t", [BODY] * MANY, raw=True)
    consumer = pubsub.consumer("t", raw=True)

    def drain() -> None:
        left = MANY
        while left:
            messages = consumer.receive(BATCH, 5)
            consumer.ack(messages)
            left -= len(messages)

    took_s = elapsed_s(drain)
    consumer.close()
    return MANY / took_s
