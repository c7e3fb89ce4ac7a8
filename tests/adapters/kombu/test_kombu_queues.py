"""Queues: their arguments, their end, and messages that are settled or are not."""

import time
from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import ChannelError

import capa_kombu
from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import UnsupportedError
from capa_kombu.over_pubsub import GROUP, _topology


def _declared(connection: Any, name: str, **options: Any) -> Any:
    queue = Queue(name, Exchange("letters"), name, channel=connection.default_channel, **options)
    queue.declare()
    return queue


def _send(connection: Any, name: str, body: Any = "x", **options: Any) -> None:
    connection.Producer().publish(body, exchange="letters", routing_key=name, **options)


@pytest.mark.parametrize(
    ("of_queue", "of_message"), [({"message_ttl": 0.05}, {}), ({}, {"expiration": 0.05})]
)
def test_a_message_is_dropped_after_its_time(connection: Any, of_queue: Any, of_message: Any) -> None:
    queue = _declared(connection, "q", **of_queue)
    _send(connection, "q", **of_message)
    time.sleep(0.3)

    assert queue.get() is None


def test_the_time_of_a_queue_holds_for_messages_by_the_default_exchange(connection: Any) -> None:
    queue = _declared(connection, "q", message_ttl=0.05)
    connection.Producer().publish("x", routing_key="q")
    time.sleep(0.3)

    assert queue.get() is None


@pytest.mark.parametrize(
    "options", [{"max_length": 3}, {"queue_arguments": {"x-single-active-consumer": True}}]
)
def test_an_argument_that_is_not_served_is_refused_where_rabbitmq_would_obey_it(
    connection: Any, options: Any
) -> None:
    with pytest.raises(UnsupportedError, match="kombu/queue-arguments"):
        _declared(connection, "q", **options)


WRONG = [
    {"x-message-ttl": "abc"},
    {"x-message-ttl": -1},
    {"x-message-ttl": True},
    {"x-expires": 0},
    {"x-max-priority": 256},
    {"x-dead-letter-exchange": 5},
]


@pytest.mark.parametrize("arguments", WRONG, ids=str)
def test_a_value_that_rabbitmq_does_not_take_is_refused_at_the_declaration(
    connection: Any, arguments: Any
) -> None:
    """Publishers to the queue would fail otherwise, or their messages be dropped."""
    with pytest.raises(ChannelError, match="PRECONDITION_FAILED - invalid arg"):
        _declared(connection, "q", queue_arguments=arguments)


def test_such_a_value_has_no_effect_where_the_original_has_no_arguments(memory: Runtime) -> None:
    with capa_kombu.Connection("redis://") as connection:
        queue = _declared(connection, "q", queue_arguments={"x-message-ttl": "abc", "x-expires": -1})
        _send(connection, "q")

        assert "x" == queue.get().payload


def test_an_argument_without_effect_in_the_original_has_none(memory: Runtime) -> None:
    with capa_kombu.Connection("redis://") as connection:
        _declared(connection, "q", max_length=1)
        _send(connection, "q")
        _send(connection, "q")

        assert 2 == connection.SimpleQueue(Queue("q")).qsize()


def test_arguments_about_storage_are_accepted(connection: Any) -> None:
    _declared(connection, "q", max_priority=9, queue_arguments={"x-queue-type": "quorum"})
    _send(connection, "q", "low")
    _send(connection, "q", "high", priority=9)
    get = connection.default_channel.basic_get

    assert ["high", "low"] == [get("q", no_ack=True).payload for _ in range(2)]


def test_a_rejected_message_goes_to_the_dead_letter_exchange(connection: Any) -> None:
    dead = Exchange("dead", "topic")
    Queue("morgue", dead, "#", channel=connection.default_channel).declare()
    queue = _declared(
        connection,
        "q",
        queue_arguments={"x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "gone"},
    )
    _send(connection, "q", "poison")
    queue.get().reject()
    message = connection.default_channel.basic_get("morgue")
    death = message.headers["x-death"][0]

    assert ("poison", "gone") == (message.payload, message.delivery_info["routing_key"])
    assert ("q", "rejected", "letters", ["q"]) == tuple(
        death[key] for key in ("queue", "reason", "exchange", "routing-keys")
    )


def test_a_queue_that_ends_with_its_last_consumer_does(connection: Any) -> None:
    queue = _declared(connection, "q", auto_delete=True)
    first, second = (connection.Consumer(queue, channel=connection.channel()) for _ in range(2))
    first.consume()
    second.consume()
    first.cancel()
    _send(connection, "q")
    kept = queue.queue_declare(passive=True).message_count
    second.cancel()

    assert 1 == kept
    with pytest.raises(ChannelError, match="NOT_FOUND"):
        queue.queue_declare(passive=True)


def test_an_exclusive_queue_ends_with_its_connection(connection: Any) -> None:
    with capa_kombu.Connection("amqp://") as other:
        _declared(other, "q", exclusive=True)
        _send(connection, "q")

    with pytest.raises(ChannelError, match="NOT_FOUND"):
        connection.default_channel.queue_declare("q", passive=True)


def test_a_queue_that_is_not_used_is_forgotten_with_its_messages(connection: Any, memory: Runtime) -> None:
    _declared(connection, "q", expires=1)
    _send(connection, "q")
    state = memory.state("kombu")
    wait_until(lambda: state.get(f"{_topology.QUEUE}q") is None, patience_s=20)
    _declared(connection, "other", expires=60)
    _send(connection, "q")

    assert 0 == memory.pubsub("kombu").depth("q", GROUP)
    assert [("other", "letters", "other")] == list(connection.default_channel.list_bindings())


def test_a_reply_to_a_queue_that_ended_is_for_nobody(connection: Any, memory: Runtime) -> None:
    with capa_kombu.Connection("amqp://") as asking:
        _declared(asking, "replies", exclusive=True)
    connection.Producer().publish("late", routing_key="replies")
    dropped = memory.pubsub("kombu").depth("replies", GROUP)
    _declared(connection, "replies", exclusive=True)
    connection.Producer().publish("in time", routing_key="replies")

    assert 0 == dropped
    assert "in time" == connection.default_channel.basic_get("replies").payload


def test_a_queue_with_a_consumer_is_used(connection: Any, memory: Runtime) -> None:
    queue = _declared(connection, "q", expires=1)
    with connection.Consumer(queue):
        time.sleep(1.5)

        assert memory.state("kombu").get(f"{_topology.QUEUE}q")


def test_an_acknowledgement_of_several_covers_those_before(connection: Any, memory: Runtime) -> None:
    queue = _declared(connection, "q")
    for number in range(3):
        _send(connection, "q", number)
    messages = [queue.get() for _ in range(3)]
    messages[1].ack(multiple=True)

    assert 1 == memory.pubsub("kombu").depth("q", GROUP)


def test_a_message_that_comes_again_says_so(connection: Any) -> None:
    queue = _declared(connection, "q")
    _send(connection, "q")
    first = queue.get()
    first.requeue()

    assert [False, True] == [first.delivery_info["redelivered"], queue.get().delivery_info["redelivered"]]


def test_messages_that_were_not_settled_come_again_after_the_channel(connection: Any) -> None:
    _declared(connection, "q")
    _send(connection, "q")
    with connection.channel() as channel:
        channel.basic_get("q")
        waiting = channel.queue_declare("q", passive=True).message_count

    again = connection.default_channel.basic_get("q")

    assert 0 == waiting
    assert ("x", True) == (again.payload, again.delivery_info["redelivered"])


def test_a_message_that_kombu_cannot_read_becomes_a_dead_letter(connection: Any, memory: Runtime) -> None:
    queue = _declared(connection, "q")
    for body in (b"not of kombu", b"[]"):
        memory.pubsub("kombu").publish("q", body, raw=True)
    _send(connection, "q")
    found = queue.get()  # not `None`: the queue is not empty
    dead = memory.pubsub("kombu").dead_letters("q")

    assert "x" == found.payload
    assert 2 == sum("not a message of kombu" in each.reason for each in dead)


def test_consumers_of_one_queue_share_its_messages(connection: Any) -> None:
    seen: list[tuple[int, Any]] = []
    queue = _declared(connection, "q")
    consumers = [
        connection.Consumer(
            queue,
            channel=connection.channel(),
            on_message=lambda message, number=number: (seen.append((number, message.payload)), message.ack()),
        )
        for number in range(2)
    ]
    for consumer in consumers:
        consumer.consume()
    for number in range(6):
        _send(connection, "q", number)
    while len(seen) < 6:
        connection.drain_events(timeout=5)

    assert {0, 1} == {consumer for consumer, _ in seen}
    assert [0, 1, 2, 3, 4, 5] == sorted(payload for _, payload in seen)
