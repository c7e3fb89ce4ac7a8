"""`capa migrate drain` from RabbitMQ: what is ready goes on once, and what cannot be read is back as it was."""

from __future__ import annotations

import json
from uuid import uuid4

import pika
import pytest
from celery_backlog import publish, work

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(120)]

LATER_S = 3600


@pytest.fixture
def queue():
    """Give a name that no other test has on the broker, which all share."""
    return f"drained-{uuid4().hex}"


@pytest.fixture
def channel(rabbitmq_url, queue):
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        yield connection.channel()
        connection.channel().queue_delete(queue)


@pytest.fixture
def drain(tmp_path, monkeypatch, capa, rabbitmq_url, queue):
    """Return a function that drains the queue into SQLite, and returns the exit code, its counts, and the errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words, address=rabbitmq_url, name=queue):
        ran = capa("migrate", "drain", address, "--json", "--queue", name, *words)
        return ran.code, json.loads(ran.out)["queues"][0] if ran.out else {}, ran.err

    return run


def moved(topic):
    """Return what waits in the component that capa.toml names."""
    with Runtime() as runtime:
        return runtime.pubsub("celery").peek(topic, "celery", most=10_000, max_bytes=2**20)


def queues_of_capa(channel, queue):
    """Return whether Capa's own queue is still on the broker."""
    other = channel.connection.channel()
    try:
        other.queue_declare(f"_capa.celery.moved.{queue}", passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    return True


def test_each_kind_of_task_goes_on_with_its_time(drain, channel, queue, rabbitmq_url):
    kinds = [{}, {"countdown": LATER_S}, {"expires": LATER_S}, {"priority": 7}, {"headers": {"tenant": "t1"}}]
    publish(rabbitmq_url, [work(number, queue=queue, **kind) for number, kind in enumerate(kinds)])
    counted = drain("--dry-run")
    code, counts, _ = drain()
    found = {json.loads(each.data)["headers"]["argsrepr"]: each for each in moved(queue)}
    sent = {name: json.loads(each.data) for name, each in found.items()}

    assert (0, 5, None) == (counted[0], counted[1]["moved"], counted[1]["with_eta"])
    assert (0, 5, 1) == (code, counts["moved"], counts["with_eta"])
    assert {f"[{number}, 0]" for number in range(5)} == found.keys()
    assert ["[1, 0]"] == [name for name, each in found.items() if each.state == "delayed"]
    assert (7, "t1") == (found["[3, 0]"].priority, sent["[4, 0]"]["headers"]["tenant"])
    assert {"exchange": "", "routing_key": queue} == sent["[0, 0]"]["properties"]["delivery_info"]
    assert str(LATER_S * 1000) == sent["[2, 0]"]["properties"]["expiration"]
    assert not any("capa-moved" in each["headers"] for each in sent.values())
    assert not queues_of_capa(channel, queue)


def test_unreadable_messages_are_back_in_their_queue_as_they_were(drain, channel, queue, rabbitmq_url):
    publish(rabbitmq_url, [work(1, queue=queue)])
    properties = pika.BasicProperties(
        headers={"own": 1}, content_type="text/x", expiration="900000", message_id="own"
    )
    channel.basic_publish("", queue, b"\xff", properties)
    code, counts, _ = drain()
    _, back, body = channel.basic_get(queue, auto_ack=True)

    assert (1, 1, 1, 1) == (code, counts["moved"], counts["unreadable"], counts["waiting"])
    assert (b"\xff", properties) == (body, back)


def test_a_queue_with_workers_is_refused_and_what_they_hold_is_left(drain, channel, queue, rabbitmq_url):
    publish(rabbitmq_url, [work(number, queue=queue) for number in range(3)])
    channel.basic_qos(prefetch_count=1)
    held = []
    channel.basic_consume(queue, lambda *message: held.append(message))
    wait_until(lambda: channel.connection.process_data_events(0.1) or held)
    refused, nothing, errors = drain()
    left, counts, _ = drain("--held", "leave")
    channel.close()
    count = lambda: channel.connection.channel().queue_declare(queue, passive=True).method.message_count  # noqa: E731 - short
    wait_until(lambda: count() == 1)
    after, back, _ = drain()

    assert (3, {}) == (refused, nothing)
    assert f"workers hold messages of {queue} (1 consume it); nothing was moved" in errors
    assert (1, 2) == (left, counts["moved"])
    assert (0, 1) == (after, back["moved"])


def test_two_equal_messages_both_go_on(drain, channel, queue, rabbitmq_url):
    publish(rabbitmq_url, [work(1, queue=queue, task_id="same")] * 2)
    code, counts, _ = drain()

    assert (0, 2, 0) == (code, counts["moved"], counts["moved_before"])


@pytest.mark.usefixtures("channel")
def test_what_is_not_there_or_not_allowed_is_told(drain, capa, rabbitmq_url, queue):
    missing, _, errors = drain(name=f"{queue}-not")
    refused, _, told = drain(address=rabbitmq_url.replace("://", "://nobody:secret@"))
    unnamed = capa("migrate", "drain", rabbitmq_url)

    assert (3, 2, 3) == (missing, refused, unnamed.code)
    assert f"the broker has no queue '{queue}-not'. Nothing was moved" in errors
    assert "nobody" in told
    assert "secret" not in told
    assert "does not tell the names of its queues: name each, as --queue celery" in unnamed.err
