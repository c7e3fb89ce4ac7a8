"""Deliveries of RabbitMQ: each is counted once, and a consumer that does not ask keeps none from others."""

import threading
import time
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tcp_proxy import TcpProxy

from capa_core.components.rabbitmq._publisher import Publisher
from capa_core.components.rabbitmq._puller import _SUSPENDED_S, Puller
from capa_core.conformance._pubsub.suite import bodies, eventually, receive
from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import UnavailableError

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(180)]


def test_messages_that_trickle_in_are_delivered_once_each(pubsub, topic):
    """A quorum queue counts what it sends to a consumer that is just leaving: so it must not leave between two."""
    seen = []
    with pubsub.subscribe(topic, seen.append, raw=True):
        for _ in range(60):
            pubsub.publish_many(topic, [b"x"] * 3, raw=True)
            time.sleep(0.005)

        assert eventually(lambda: len(seen) == 180)
    assert {1} == {message.delivery_count for message in seen}


@pytest.fixture
def patient(monkeypatch):
    """Keep consumers that do not ask on their queues until something comes to them: it may take a busy machine long."""
    let_go = Puller._let_go
    monkeypatch.setattr(
        Puller, "_let_go", lambda self, channel: let_go(self, channel) if self._arrived else None
    )


def received_of_a_window(consumer):
    """Receive a message, and leave the broker with the window of a consumer that takes 50."""
    return [*consumer.receive(50, PATIENCE_S), *consumer.receive(49, 0.3)]


@pytest.mark.usefixtures("patient")
def test_what_comes_to_a_consumer_that_does_not_ask_goes_to_others(open_pubsub, rabbitmq_url, topic):
    idle, busy = (open_pubsub(rabbitmq_url).consumer(topic, raw=True) for _ in range(2))
    pubsub = open_pubsub(rabbitmq_url)
    pubsub.publish(topic, b"first", raw=True)
    held = received_of_a_window(idle)
    pubsub.publish_many(topic, [b"%d" % number for number in range(20)], raw=True)
    found = receive(busy, 20)

    assert [b"first"] == bodies(held)
    assert {b"%d" % number for number in range(20)} == set(bodies(found))
    assert {1} == {message.delivery_count for message in found}
    assert [True] == idle.extend(held)


def test_a_consumer_that_was_suspended_gets_none_that_others_have(
    open_pubsub, rabbitmq_url, topic, monkeypatch
):
    """As SIGSTOP does it: its connection's thread reads late that the broker has ended the connection."""
    channels, on_message, resumed = [], Puller._on_message, threading.Event()

    def noted(puller, channel, *message):
        on_message(puller, channel, *message)
        channels.append(channel)

    monkeypatch.setattr(Puller, "_let_go", lambda *_: None)
    monkeypatch.setattr(Puller, "_on_message", noted)
    address, pubsub = urlsplit(rabbitmq_url), open_pubsub(rabbitmq_url)
    with TcpProxy.to(address.port) as proxy:
        suspended = open_pubsub(f"amqp://{address.hostname}:{proxy.port}").consumer(topic, raw=True)
        pubsub.publish(topic, b"first", raw=True)
        suspended.ack(received_of_a_window(suspended))
        pubsub.publish(topic, b"second", raw=True)
        assert eventually(lambda: len(channels) == 2)
        channels[0].connection.tell(resumed.wait)
        time.sleep(_SUSPENDED_S + 0.1)
        proxy.cut()
        elsewhere = receive(pubsub.consumer(topic, raw=True), 1)
        threading.Timer(0.3, resumed.set).start()
        with pytest.raises(UnavailableError):
            suspended.receive(40, 1)

    assert [b"second"] == bodies(elsewhere)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "count",
    [
        lambda pubsub, topic, _: pubsub.depth(topic),
        lambda pubsub, topic, _: pubsub.inspect(topic).groups[0].depth,
        lambda pubsub, topic, _: len(pubsub.peek(topic)),
        lambda _pubsub, _topic, consumer: 1 + len(consumer.receive(50, 0.0)),
    ],
    ids=["depth", "inspect", "peek", "receive"],
)
def test_messages_on_their_way_back_are_counted_once(pubsub, topic, monkeypatch, count):
    late, publish_soon = [], Publisher.publish_soon

    def publish_later(*arguments):
        late.append(threading.Timer(0.2, publish_soon, arguments))
        late[0].start()

    consumer = pubsub.consumer(topic, raw=True)
    pubsub.publish(topic, b"first", raw=True)
    held = received_of_a_window(consumer)
    monkeypatch.setattr(Publisher, "publish_soon", publish_later)
    pubsub.publish_many(topic, [b"x"] * 3, raw=True)

    assert eventually(lambda: late)
    assert 4 == count(pubsub, topic, consumer)
    assert 4 == pubsub.depth(topic)
    assert [True] == consumer.extend(held)


@pytest.mark.usefixtures("patient")
def test_a_consumer_closes_after_what_it_gives_back_is_settled(pubsub, topic, monkeypatch):
    """Else messages come from the queue and as copies, and the settlements that come late end the connection."""
    began, send = threading.Event(), Publisher.publish_soon

    def slowly(self, messages, after):
        began.set()
        send(self, messages, lambda are_stored: threading.Timer(0.5, after, [are_stored]).start())

    consumer, other = pubsub.consumer(topic, raw=True), pubsub.consumer(topic, raw=True)
    monkeypatch.setattr(Publisher, "publish_soon", slowly)
    sent = []
    while not began.wait(
        0.5
    ):  # they must come while the consumer is still on the queue, for a tenth of a second
        for message in consumer.receive(10, 0.05):
            consumer.ack([message])
            sent.remove(message.data)
        new = [uuid4().bytes for _ in range(20)]
        sent += new
        pubsub.publish_many(topic, new, raw=True)
    consumer.close()
    received = receive(other, len(sent))
    other.ack(received)

    assert sorted(sent) == sorted(bodies(received))
    assert [] == other.receive(1, 0.5)
