"""From exchanges, keys and priorities to topics."""

from typing import Any

import pytest
from kombu import Exchange, Queue, binding

import capa_kombu
from capa_celery._queues import Topic, bound_to, topic_of
from capa_core.conformance._tolerance import wait_until
from capa_kombu.over_pubsub import engine_priority

TOPIC = Exchange("t", type="topic")
QUEUES = {
    queue.name: queue
    for queue in (
        Queue("direct", Exchange("d"), routing_key="key"),
        Queue(
            "many",
            bindings=[binding(Exchange("d"), routing_key="a"), binding(Exchange("d"), routing_key="b")],
        ),
        Queue("word", TOPIC, routing_key="a.*.c"),
        Queue("rest", TOPIC, routing_key="a.#"),
        Queue("tail", TOPIC, routing_key="#.c"),
        Queue("fan", Exchange("f", type="fanout")),
    )
}


@pytest.mark.parametrize(
    ("exchange", "key", "names"),
    [
        ("", "anything", ["anything"]),
        ("d", "key", ["direct"]),
        ("d", "b", ["many"]),
        ("d", "other", []),
        ("t", "a.b.c", ["word", "rest", "tail"]),
        ("t", "a", ["rest"]),
        ("t", "c", ["tail"]),
        ("t", "x.y.c", ["tail"]),
        ("t", "b", []),
        ("f", "ignored", ["f"]),
    ],
)
def test_a_message_reaches_the_queues_that_amqp_would_choose(
    exchange: str, key: str, names: list[str]
) -> None:
    assert names == [topic.name for topic in bound_to(exchange, key, QUEUES)]


def test_a_queue_on_a_fanout_exchange_is_a_broadcast() -> None:
    assert (Topic("f", broadcast=True), Topic("word")) == (topic_of(QUEUES["fan"]), topic_of(QUEUES["word"]))


@pytest.mark.parametrize(
    ("scheme", "priority", "level"),
    [
        ("amqp", None, 0),
        ("amqp", 9, 9),
        ("amqp", 12, 9),
        ("redis", None, 9),
        ("redis", 0, 9),
        ("redis", 9, 0),
        ("redis", 3, 6),
    ],
)
def test_the_meaning_of_a_priority_is_that_of_the_legacy_broker(
    scheme: str, priority: int | None, level: int
) -> None:
    assert level == engine_priority(priority, scheme)


@pytest.mark.parametrize("kind", ["direct", "topic", "fanout"])
def test_a_producer_of_kombu_outside_the_application_reaches_the_queues_of_a_worker(
    memory_app: Any, serving: Any, kind: str
) -> None:
    memory_app.conf.task_queues = [Queue("mail", Exchange("post", kind), "letter")]
    message = memory_app.amqp.as_task_v2("1", "remember", ("hello",), {})
    with serving(memory_app), capa_kombu.Connection("capa://celery") as connection:
        connection.Producer().publish(
            message.body,
            serializer="json",
            exchange="post",
            routing_key="letter",
            headers=message.headers,
            **message.properties,
        )
        wait_until(lambda: memory_app.seen == ["hello"], patience_s=30)

    assert ["hello"] == memory_app.seen
