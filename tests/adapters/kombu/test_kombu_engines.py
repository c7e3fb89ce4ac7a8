"""Exchanges and queues on every engine."""

import time
from typing import Any

import pytest
from celery_engines import KAFKA, NATS, POSTGRES, RABBITMQ, REDIS, SQLITE, SQS
from kombu import Exchange, Queue
from kombu.exceptions import ChannelError

import capa_kombu
from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until

PATIENCE_S = 30.0
pytestmark = pytest.mark.parametrize(
    "on_engine", [SQLITE, REDIS, RABBITMQ, NATS, POSTGRES, KAFKA, SQS], indirect=True
)


def _all_of(connection: Any, count: int, *queues: Queue) -> list[tuple[str, Any]]:
    """Consume so many messages, settle them, and return queue and body of each."""
    seen: list[tuple[str, Any]] = []
    with connection.channel() as channel:
        for queue in queues:
            channel.Consumer(
                queue,
                on_message=lambda message, name=queue.name: (
                    seen.append((name, message.payload)),
                    message.ack(),
                ),
            ).consume()
        end = time.monotonic() + PATIENCE_S
        while len(seen) < count and time.monotonic() < end:
            connection.drain_events(timeout=PATIENCE_S)
    return sorted(seen)


def test_messages_go_by_direct_topic_and_fanout_exchanges(on_engine: Runtime) -> None:
    direct, topic, fanout = (Exchange(kind, kind) for kind in ("direct", "topic", "fanout"))
    queues = [
        Queue("d", direct, "d"),
        Queue("t", topic, "x.#"),
        Queue("f1", fanout),
        Queue("f2", fanout, queue_arguments={"x-queue-type": "quorum"}),
    ]
    with capa_kombu.Connection("amqp://") as connection, capa_kombu.Connection("amqp://") as publishing:
        for queue in queues:
            queue(connection.default_channel).declare()
        producer = publishing.Producer()
        for exchange, key in (
            ("direct", "d"),
            ("direct", "e"),
            ("topic", "x.y"),
            ("topic", "y"),
            ("fanout", ""),
        ):
            producer.publish(f"{exchange} {key}", exchange=exchange, routing_key=key)

        assert [("d", "direct d"), ("f1", "fanout "), ("f2", "fanout "), ("t", "topic x.y")] == _all_of(
            connection, 4, *queues
        )


def test_messages_are_requeued_and_acknowledged(on_engine: Runtime) -> None:
    with capa_kombu.Connection("amqp://") as connection, connection.SimpleQueue("q") as queue:
        queue.put({"n": 1}, headers={"h": "ä"})
        first = queue.get(timeout=PATIENCE_S)
        first.requeue()
        again = queue.get(timeout=PATIENCE_S)
        again.ack()
        wait_until(lambda: on_engine.pubsub("kombu").depth("q", "celery") == 0, patience_s=PATIENCE_S)

        assert ({"n": 1}, "ä", True) == (
            again.payload,
            again.headers["h"],
            again.delivery_info["redelivered"],
        )


def test_a_queue_for_replies_ends_with_its_consumer(on_engine: Runtime) -> None:
    with capa_kombu.Connection("amqp://") as connection:
        replies = Queue("replies.1", auto_delete=True, exclusive=True)
        with connection.Consumer(replies, no_ack=True) as consumer:
            answers: list[Any] = []
            consumer.register_callback(lambda body, message: answers.append(body))
            connection.Producer().publish({"answer": 42}, routing_key="replies.1")
            connection.drain_events(timeout=PATIENCE_S)

        assert [{"answer": 42}] == answers
        with pytest.raises(ChannelError, match="NOT_FOUND"):
            connection.default_channel.queue_declare("replies.1", passive=True)
