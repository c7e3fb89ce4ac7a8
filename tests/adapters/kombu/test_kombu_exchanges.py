"""Exchanges route as in AMQP, by what all connections have declared."""

from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import ChannelError
from kombu.transport.virtual.base import UndeliverableWarning

import capa_kombu


def _payloads(connection: Any, name: str) -> list[Any]:
    get = connection.default_channel.basic_get
    return [message.payload for message in iter(lambda: get(name, no_ack=True), None)]


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("a.#", ["a", "a.b", "a.b.c"]),
        ("#.c", ["a.b.c"]),
        ("a.*", ["a.b"]),
        ("#", ["a", "a.b", "a.b.c"]),
    ],
)
def test_a_topic_exchange_matches_whole_words_and_none(
    connection: Any, pattern: str, keys: list[str]
) -> None:
    exchange = Exchange("events", "topic")
    Queue("q", exchange, pattern, channel=connection.default_channel).declare()
    for key in ("a", "a.b", "a.b.c"):
        connection.Producer().publish(key, exchange=exchange, routing_key=key)

    assert keys == _payloads(connection, "q")


@pytest.mark.parametrize("kind", ["direct", "topic", "fanout"])
def test_a_binding_holds_for_connections_that_declared_nothing(connection: Any, kind: str) -> None:
    Queue("q", Exchange("events", kind), "key", channel=connection.default_channel).declare()
    with capa_kombu.Connection("amqp://") as other:
        other.default_channel.basic_publish(
            other.default_channel.prepare_message("x", content_type="text/plain", content_encoding="utf-8"),
            exchange="events",
            routing_key="key",
        )

    assert ["x"] == _payloads(connection, "q")


def test_an_exchange_of_another_type_is_refused(connection: Any) -> None:
    with pytest.raises(ChannelError, match="'headers'"):
        Exchange("events", "headers", channel=connection.default_channel).declare()


def test_a_binding_to_an_exchange_that_is_not_declared_is_refused(connection: Any) -> None:
    with pytest.raises(ChannelError, match="NOT_FOUND - no exchange 'nothing'"):
        connection.default_channel.queue_bind("q", "nothing", "key")


def test_the_exchanges_of_the_server_are_there(connection: Any) -> None:
    channel = connection.default_channel
    channel.queue_bind("q", "amq.topic", "a.*")
    connection.Producer().publish("x", exchange="amq.topic", routing_key="a.b")

    assert ["x"] == _payloads(connection, "q")


def test_an_exchange_in_use_is_not_deleted_if_unused(connection: Any) -> None:
    exchange = Exchange("events", channel=connection.default_channel)
    queue = Queue("q", exchange, "key", channel=connection.default_channel)
    queue.declare()
    with pytest.raises(ChannelError, match="in use"):
        exchange.delete(if_unused=True)
    queue.unbind_from(exchange, "key")
    exchange.delete(if_unused=True)

    with pytest.raises(ChannelError, match="NOT_FOUND"):
        exchange.declare(passive=True)


def test_a_deleted_queue_is_bound_no_more(connection: Any) -> None:
    queue = Queue("q", Exchange("events"), "key", channel=connection.default_channel)
    queue.declare()
    bound = list(connection.default_channel.list_bindings())
    queue.delete()
    connection.Producer().publish("x", exchange="events", routing_key="key")

    assert [("q", "events", "key")] == bound
    assert [] == list(connection.default_channel.list_bindings())
    assert [] == _payloads(connection, "q")


def test_a_mandatory_message_that_no_queue_gets_is_returned(connection: Any) -> None:
    returned = []
    producer = connection.Producer(on_return=lambda *arguments: returned.append(arguments))
    producer.publish("x", exchange=Exchange("events"), routing_key="nobody", mandatory=True)

    ((error, exchange, key, message),) = returned
    assert ("312", "events", "nobody", "x") == (error.reply_code, exchange, key, message.payload)


def test_the_queue_for_undeliverable_messages_gets_those_of_no_queue(memory: Any) -> None:
    with capa_kombu.Connection("redis://", transport_options={"deadletter_queue": "lost"}) as connection:
        with pytest.warns(UndeliverableWarning, match="events"):
            connection.Producer().publish("x", exchange=Exchange("events"), routing_key="nobody")

        assert ["x"] == _payloads(connection, "lost")
