"""NATS pub/sub beyond the conformance suite: other programs, repeated publishes, deletions, forks, lost connections."""

import logging
import multiprocessing
import threading
import time

import pytest
from servers._process import free_port
from tcp_proxy import TcpProxy

from capa_core.blocks.pubsub.driver import OutgoingMessage
from capa_core.components.nats import _messages
from capa_core.components.nats._link import Link
from capa_core.components.nats._names import Names
from capa_core.components.nats._puller import Puller
from capa_core.components.nats._settings import NatsSettings
from capa_core.conformance._pubsub.suite import bodies, drain, receive
from capa_core.conformance._tolerance import PROMPT_S, SLOW_MACHINE_S, is_prompt, wait_until
from capa_core.errors import DeadlineError, UnavailableError

pytestmark = [pytest.mark.server("nats"), pytest.mark.timeout(60)]

FOREIGN = [
    None,
    {"Content-Type": "text/plain", "tenant": "t1", "Nats-Msg-Id": "one"},
    {"Capa": "no list"},
    {"Capa": '["id", "type", {"number": 1}, 0]'},
    {"Capa": '["id", "type", {}]'},
    {"Capa": "[" * 50_000},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=range(len(FOREIGN)))
def test_a_message_of_another_program_is_received(pubsub, topic, names, elsewhere, headers):
    consumer = pubsub.consumer(topic, raw=True)
    elsewhere(lambda client: client.jetstream().publish(names.now, b"hello", headers=headers))
    (message,) = receive(consumer, 1)

    assert (b"hello", 1) == (message.data, message.delivery_count)
    if headers and "tenant" in headers:
        assert ("one", "text/plain", {"tenant": "t1"}) == (
            message.id,
            message.content_type,
            message.attributes,
        )


def test_a_message_that_is_sent_again_after_a_lost_answer_is_stored_once(open_pubsub, nats_url, topic):
    with TcpProxy.to(int(nats_url.rpartition(":")[2])) as proxy:
        pubsub = open_pubsub(f"nats://127.0.0.1:{proxy.port}", timeout_s=1)
        driver, message = pubsub._driver, OutgoingMessage("one", b"x")
        consumer = pubsub.consumer(topic, raw=True)
        proxy.swallow_answers()
        with pytest.raises(Exception) as lost:
            driver.publish(topic, [message])
        proxy.speak()
        proxy.cut()
        again = driver.publish(topic, [message])
        copy = driver.publish(topic, [OutgoingMessage("one", b"x")])

        assert DeadlineError is driver.name_error(lost.value)
        assert [None] == again == copy
        assert [b"x"] * 2 == bodies(drain(consumer, 2))
        pubsub.close()


def test_a_stream_that_is_deleted_is_made_again(pubsub, topic, names, elsewhere):
    consumer = pubsub.consumer(topic, raw=True)
    elsewhere(lambda client: client.jetstream().delete_stream(names.stream))
    pubsub.publish_many(topic, [b"1", b"2"], raw=True)

    assert {b"1", b"2"} == set(bodies(drain(consumer, 2)))


@pytest.mark.parametrize("forgotten", [0, 1])
def test_a_waiting_consumer_survives_the_deletion_of_its_group(
    pubsub, topic, names, elsewhere, monkeypatch, forgotten
):
    """Also if the server tells nobody of it, as when it meets the request."""
    told, tell = [], Puller._on_status

    def on_status(puller, status, text):
        told.append(status)
        if len(told) > forgotten:
            tell(puller, status, text)

    monkeypatch.setattr(Puller, "_on_status", on_status)
    consumer = pubsub.consumer(topic, raw=True)
    found = []
    waiting = threading.Thread(target=lambda: found.extend(receive(consumer, 1)))
    waiting.start()
    elsewhere(lambda client: client.jetstream().delete_consumer(names.stream, names.consumer("default")))
    wait_until(lambda: pubsub.inspect(topic).groups)
    pubsub.publish(topic, b"x", raw=True)
    waiting.join()

    assert [b"x"] == bodies(found)


def test_a_consumer_that_is_closed_while_it_waits_takes_nothing_with_it(pubsub, topic):
    closed, other = pubsub.consumer(topic, raw=True), pubsub.consumer(topic, raw=True)
    waiting = threading.Thread(target=closed.receive, args=(1, 20))
    waiting.start()
    wait_until(lambda: closed._driver._consumer._puller)
    closed.close()
    waiting.join()

    def arrives_s():
        started = time.monotonic()
        pubsub.publish(topic, b"x", raw=True)
        drain(other)
        return time.monotonic() - started

    assert is_prompt(arrives_s, 2 * PROMPT_S)


def test_a_connection_that_is_lost_costs_no_lease(open_pubsub, nats_url, topic):
    with TcpProxy.to(int(nats_url.rpartition(":")[2])) as proxy:
        pubsub = open_pubsub(f"nats://127.0.0.1:{proxy.port}")
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        messages = receive(consumer, 1)
        proxy.cut()
        extended = consumer.extend(messages)
        proxy.cut()
        consumer.ack(messages)

        assert [True] == extended
        assert 0 == pubsub.depth(topic)
        pubsub.close()


def test_a_waiting_receive_is_told_of_a_lost_connection(open_pubsub, nats_url, topic):
    with TcpProxy.to(int(nats_url.rpartition(":")[2])) as proxy:
        pubsub = open_pubsub(f"nats://127.0.0.1:{proxy.port}", heartbeat_s=0.2)
        consumer = pubsub.consumer(topic, raw=True)
        timer = threading.Timer(0.5, proxy.go_silent)
        timer.start()
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            consumer.receive(1, 40)
        took_s = time.monotonic() - started
        timer.join()
        proxy.speak()
        proxy.cut()
        pubsub.close()

    assert took_s < 4 * 0.2 + 0.5 + 2 * SLOW_MACHINE_S


def test_another_server_is_tried_when_the_first_does_not_answer(open_pubsub, nats_url, topic):
    pubsub = open_pubsub(f"nats://127.0.0.1:{free_port()}", other_servers=(nats_url,))

    assert pubsub.publish(topic, b"x", raw=True)


def test_a_forked_child_has_a_connection_of_its_own(pubsub, topic):
    consumer = pubsub.consumer(topic, raw=True)

    def publish():
        pubsub.forget()
        pubsub.publish(topic, b"of the child", raw=True)

    child = multiprocessing.get_context("fork").Process(target=publish)
    child.start()
    child.join()
    pubsub.publish(topic, b"of the parent", raw=True)

    assert 0 == child.exitcode
    assert {b"of the child", b"of the parent"} == set(bodies(drain(consumer, 2)))


def test_a_thread_that_fails_is_logged_and_another_takes_its_place(nats_url, caplog):
    link = Link(NatsSettings(url=nats_url))
    failed = link.connection()

    async def fail():
        failed._tick = None
        failed._loop.create_task(failed.client.close())
        raise KeyError("lost")

    with caplog.at_level(logging.ERROR), pytest.raises(KeyError):
        failed.call(fail)
    wait_until(lambda: failed.lost)

    assert "INFO" in str(link.api("INFO")).upper()
    link.close()
    wait_until(lambda: not failed._thread.is_alive())


def test_no_name_is_longer_than_the_server_allows():
    names = Names("p" * 40, "注" * 255)
    all_names = [names.stream, names.consumer("ü" * 255, temporary=True)]

    assert [] == [name for name in all_names if len(name.encode()) > 255]
    assert Names("p", "注" * 254 + "a").stream != Names("p", "注" * 254 + "b").stream
    assert Names("p", "a-b").stream != Names("p", "a=2Db").stream


def test_a_header_holds_what_a_body_does_not():
    message = OutgoingMessage("ü\n", b"x", "a/b", {"h": "\x00注"})
    (header,) = {_messages.header(message)}
    seen = _messages.delivery({"Capa": header}, b"x", None, 1, 5.0)

    assert header.isascii()
    assert header.isprintable()
    assert ("ü\n", "a/b", {"h": "\x00注"}, 5.0) == (
        seen.id,
        seen.content_type,
        seen.attributes,
        seen.published_at,
    )
