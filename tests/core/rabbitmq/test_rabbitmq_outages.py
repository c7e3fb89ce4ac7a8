"""RabbitMQ pub/sub beyond the conformance suite: outages, other programs, delays."""

import socket
import time

import pika
import pytest
from pika import exceptions
from servers._process import free_port

from capa_core.components.rabbitmq import _delays
from capa_core.components.rabbitmq._connection import Connection
from capa_core.components.rabbitmq._connections import Connections
from capa_core.components.rabbitmq._errors import RefusedError, name_error
from capa_core.components.rabbitmq._names import Names
from capa_core.components.rabbitmq._settings import RabbitSettings
from capa_core.conformance._pubsub.suite import bodies, drain, receive
from capa_core.conformance._tolerance import SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(180)]


def test_a_backlog_moves_to_the_first_group(pubsub, topic):
    pubsub.publish_many(topic, [b"%d" % number for number in range(1200)], raw=True)
    messages = drain(pubsub.consumer(topic, raw=True), 1200)

    assert {b"%d" % number for number in range(1200)} == set(bodies(messages))
    assert 1200 == len(messages)


def test_a_message_of_another_program_is_received(pubsub, topic, names, channel):
    consumer = pubsub.consumer(topic, raw=True)
    properties = pika.BasicProperties(headers={"n": 1, "list": [1, "a"], "x-delivery-count": "many"})
    channel.basic_publish(names.exchange, "any", b"hello", properties)
    (message,) = receive(consumer, 1)

    assert (b"hello", "application/octet-stream", 1) == (
        message.data,
        message.content_type,
        message.delivery_count,
    )
    assert {"n": "1", "list": "[1, 'a']"} == message.attributes


def test_another_host_is_tried_when_the_first_does_not_answer(open_pubsub, rabbitmq_url, topic):
    port = rabbitmq_url.rpartition(":")[2]
    pubsub = open_pubsub(f"amqp://127.0.0.1:{free_port()}", other_hosts=(f"127.0.0.1:{port}",))

    assert pubsub.publish(topic, b"x", raw=True)


@pytest.mark.parametrize("delay_s", [0.1, 0.15, 1, 59.99, 3600, _delays.LONGEST_S])
def test_a_delay_is_a_walk_down_the_ladder(delay_s):
    count = _delays.ticks(delay_s)
    waited_s = sum(_delays.expiry_ms(level) for level in _delays.levels(count)) / 1000

    assert delay_s <= waited_s < delay_s + _delays.TICK_S


def test_no_name_is_longer_than_the_broker_allows():
    names = Names("p" * 40, "注" * 255)
    all_names = [
        names.exchange,
        names.index,
        names.group("ü" * 255),
        names.delayed(25, names.group("g" * 255)),
    ]

    assert [] == [name for name in all_names if len(name.encode()) > 255]
    assert Names("", "a|b").group("c") != Names("", "a").group("b|c")


def test_a_connection_that_does_not_open_in_time_is_closed(caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = RabbitSettings(url=f"amqp://127.0.0.1:{silent.getsockname()[1]}")
        connection = Connection("publish", settings.parameters(), 0.5)
        with pytest.raises(
            RefusedError, match=r"RabbitMQ at 127\.0\.0\.1:\d+ did not answer within 0.5 s.*check host"
        ) as refused:
            connection.open()
        accepted, _ = silent.accept()
        with accepted:
            accepted.settimeout(20)
            sent = accepted.recv(8), accepted.recv(1)

    assert (b"AMQP\x00\x00\x09\x01", b"") == sent
    wait_until(lambda: not connection._thread.is_alive())
    assert (DeadlineError, "") == (name_error(refused.value), caplog.text)


def test_a_thread_that_fails_is_logged_and_another_takes_its_place(rabbitmq_url, caplog):
    connections = Connections(RabbitSettings(url=rabbitmq_url, timeout_s=30))
    failed = connections.publishing()

    def fail():
        raise KeyError("lost")

    with pytest.raises(exceptions.AMQPConnectionError, match="its thread failed: KeyError"):
        failed.ask(lambda _: failed.tell(fail))

    assert connections.publishing().channel().impl.is_open
    assert ["capa.rabbitmq"] == [record.name for record in caplog.records]
    started = time.monotonic()
    failed.close()
    connections.close()
    assert time.monotonic() - started < SLOW_MACHINE_S, "pika has closed the socket before its time was up"
