"""Redis goes down, goes silent, is cut off: each a typed error in time, and a consumer that goes on."""

import socket
import threading
import time
from contextlib import suppress

import pytest

from capa_core.blocks.pubsub import Draft, PubSub
from capa_core.call import Policy
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError, ExhaustedError, UnavailableError

pytestmark = pytest.mark.server("redis")

TIMEOUT_S = 0.4
DEADLINE_S = 1.5


def open_pubsub(port, *, retries=50):
    driver = RedisPubSub(RedisPubSubSettings(url=f"redis://127.0.0.1:{port}/0", timeout_s=TIMEOUT_S))
    return PubSub(driver, policy=Policy(deadline_s=DEADLINE_S, attempt_s=TIMEOUT_S, retries=retries))


@pytest.fixture
def pubsub(proxy):
    pubsub = open_pubsub(proxy.port)
    yield pubsub
    proxy.speak()
    proxy.cut()
    with suppress(
        DeadlineError, UnavailableError
    ):  # it releases messages, for which a busy machine may take longer
        pubsub.close()


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CALLS = {
    "publish": lambda pubsub, _, __: pubsub.publish("t", b"x"),
    "publish later": lambda pubsub, _, __: pubsub.publish("t", b"x", delay=1),
    "publish many": lambda pubsub, _, __: pubsub.publish_many("t", [Draft(data=1, delay=1), 2]),
    "consumer": lambda pubsub, _, __: pubsub.consumer("t"),
    "subscribe": lambda pubsub, _, __: pubsub.subscribe("t", print),
    "receive": lambda _, consumer, __: consumer.receive(1, 1.0),
    "ack": lambda _, consumer, messages: consumer.ack(messages),
    "nack": lambda _, consumer, messages: consumer.nack(messages),
    "extend": lambda _, consumer, messages: consumer.extend(messages),
    "depth": lambda pubsub, _, __: pubsub.depth("t"),
    "purge": lambda pubsub, _, __: pubsub.purge("t"),
    "ping": lambda pubsub, _, __: pubsub.ping(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_never_answers_runs_into_the_deadline(proxy, pubsub, call):
    consumer = pubsub.consumer("t")
    pubsub.publish("t", b"x")
    messages = consumer.receive(1)
    proxy.go_silent()
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        call(pubsub, consumer, messages)

    assert time.monotonic() - started < DEADLINE_S * 1.1 + SLOW_MACHINE_S


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_trickles_runs_into_the_deadline(proxy, pubsub, call):
    consumer = pubsub.consumer("t")
    pubsub.publish("t", b"x")
    messages = consumer.receive(1)
    pubsub.publish("t", b"x" * 1_000)
    proxy.trickle(0.75 * TIMEOUT_S)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        call(pubsub, consumer, messages)

    assert time.monotonic() - started < DEADLINE_S * 1.1 + SLOW_MACHINE_S


def test_a_server_that_is_down_is_unavailable(unused_port):
    pubsub = open_pubsub(unused_port, retries=1)
    with pytest.raises(UnavailableError, match="Connection refused"):
        pubsub.publish("t", b"x")


def test_a_consumer_goes_on_after_its_server_was_restarted(server):
    pubsub = open_pubsub(server.port)
    consumer = pubsub.consumer("t", raw=True)
    server.stop()
    with pytest.raises(UnavailableError):
        consumer.receive(1, 1)
    server.start()
    pubsub.publish("t", b"x", raw=True)

    assert [b"x"] == [message.data for message in consumer.receive(1, 1)]
    pubsub.close()


def test_a_subscription_goes_on_after_its_connection_was_cut(proxy, pubsub):
    seen = []
    with pubsub.subscribe("t", lambda message: seen.append(message.json())):
        for number in range(5):
            proxy.cut()
            pubsub.publish("t", number)
            time.sleep(0.1)
        wait_until(lambda: set(seen) == set(range(5)))


def test_a_subscription_goes_on_after_a_silence(proxy, pubsub):
    seen = threading.Event()
    with pubsub.subscribe("t", lambda _: seen.set()):
        proxy.go_silent()
        time.sleep(2 * TIMEOUT_S)
        proxy.speak()
        proxy.cut()
        pubsub.publish("t", 1)

        assert seen.wait(PATIENCE_S)


def test_a_consumer_closes_in_time_without_an_answer(proxy, pubsub):
    consumer = pubsub.consumer("t")
    proxy.go_silent()
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        consumer.close()

    assert time.monotonic() - started < DEADLINE_S * 1.1 + SLOW_MACHINE_S


def test_a_full_server_is_exhausted_and_loses_nothing(start_redis):
    server = start_redis(maxmemory="4mb", maxmemory_policy="noeviction")
    pubsub = open_pubsub(server.port, retries=0)
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"later", delay=0.5, id="later")
    results = pubsub.publish_many("t", [b"x" * 100_000] * 100, raw=True)
    stored = {result.id for result in results if result.ok}
    time.sleep(0.6)
    received = consumer.receive(1_000, 1)
    consumer.ack(received)
    afterwards = consumer.receive(1, 1)
    pubsub.close()

    assert {ExhaustedError} == {type(result.error) for result in results if not result.ok}
    assert 1 < len(stored) < 100
    assert stored | {"later"} == {message.id for message in (*received, *afterwards)}


@pytest.mark.parametrize(
    ("fields", "data", "content_type"),
    [
        ({"foo": "bar"}, b'{"foo": "bar"}', "application/json"),
        ({"i": "1", "d": "x", "a": "no JSON"}, b"x", "application/octet-stream"),
        ({"i": "1", "d": "x", "a": "[]"}, b"x", "application/octet-stream"),
        ({"i": "1", "d": "x", "t": "noon"}, b"x", "application/octet-stream"),
        ({"i": b"\xff", "d": b"x", "c": b"text/\xff"}, b"x", "text/\ufffd"),
    ],
)
def test_an_entry_of_another_program_is_received_as_far_as_it_can_be_read(server, fields, data, content_type):
    pubsub = open_pubsub(server.port)
    consumer = pubsub.consumer("t", raw=True)
    with server.connected() as client:
        client.xadd("capa:pubsub:{:t}:9", fields)
        client.zadd("capa:pubsub:{:t}:later", {b"\xc1": 1, b"text": 1})
    pubsub.publish("t", b"ours", raw=True)
    (seen,) = [each for each in pubsub.peek("t", most=100) if each.priority == 9]
    received = drained(consumer, 2)
    consumer.ack(received)
    depth = pubsub.depth("t")
    pubsub.close()

    assert (data, content_type, {}) == (seen.data, seen.content_type, seen.attributes)
    assert [(data, content_type), (b"ours", "application/octet-stream")] == [
        (message.data, message.content_type) for message in received
    ]
    assert 0 == depth


def drained(consumer, count):
    messages = []
    end = time.monotonic() + PATIENCE_S
    while len(messages) < count and time.monotonic() < end:
        messages += consumer.receive(count - len(messages), 1)
    return messages
