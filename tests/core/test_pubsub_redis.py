"""Redis pub/sub beyond the conformance suite: commands, memory, groups, cluster slots."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
import redis

from capa_core.blocks.pubsub import Draft, PubSub
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.errors import CapaError

pytestmark = pytest.mark.server("redis")


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def pubsub(redis_url):
    pubsub = PubSub(RedisPubSub(RedisPubSubSettings(url=redis_url, abandoned_s=2)))
    yield pubsub
    pubsub.close()


def drain(consumer):
    messages = []
    while batch := consumer.receive(100, 0.05):
        consumer.ack(batch)
        messages += batch
    return [message.data for message in messages]


def entries(client):
    """Return the number of messages in the database, under all keys."""
    streams = sum(client.xlen(key) for key in client.scan_iter("*", _type="stream"))
    return streams + sum(client.zcard(key) for key in client.scan_iter("*", _type="zset"))


def test_a_publish_is_one_command(pubsub, client):
    pubsub.publish("t", b"x", raw=True)
    before = client.info("commandstats")
    pubsub.publish("t", b"x", raw=True)
    after = client.info("commandstats")

    added = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert {"cmdstat_xadd": 1, "cmdstat_info": 1} == {name: calls for name, calls in added.items() if calls}


def test_acknowledged_messages_leave_nothing_behind(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    for priority in (0, 5, 9):
        pubsub.publish_many("t", [Draft(data=b"x" * 1_000, priority=priority)] * 500, raw=True)
    pubsub.publish("t", b"later", delay=0.05, raw=True)
    time.sleep(0.1)
    drain(consumer)

    assert 0 == entries(client)
    assert 100_000 > sum(client.memory_usage(key) or 0 for key in client.scan_iter("*"))


def test_an_entry_is_removed_when_the_last_group_has_acknowledged_it(pubsub, client):
    first, second = (pubsub.consumer("t", group, raw=True) for group in ("a", "b"))
    pubsub.publish_many("t", [b"x"] * 10, raw=True)
    drain(first)
    between = entries(client)
    drain(second)

    assert (10, 0) == (between, entries(client))


def test_an_entry_that_one_group_holds_stays(pubsub, client):
    first, second = (pubsub.consumer("t", group, raw=True) for group in ("a", "b"))
    pubsub.publish("t", b"x", raw=True)
    held = second.receive(1)
    drain(first)
    second.nack(held)

    assert [b"x"] == drain(second)
    assert 0 == entries(client)


def test_closing_a_broadcast_group_removes_its_entries(pubsub, client):
    workers, listener = pubsub.consumer("t", raw=True), pubsub.consumer("t", broadcast=True, raw=True)
    pubsub.publish_many("t", [b"x"] * 10, raw=True)
    drain(workers)
    listener.receive(3)
    listener.close()

    assert 0 == entries(client)
    assert 1 == len(client.xinfo_groups("capa:pubsub:{:t}:0"))


def test_a_broadcast_group_lives_while_its_consumer_receives(pubsub):
    pubsub.consumer("t", raw=True)
    listener = pubsub.consumer("t", broadcast=True, raw=True)
    for _ in range(6):
        listener.receive(1, 0.5)
    pubsub.consumer("t", raw=True).close()
    pubsub.publish("t", b"x", raw=True)

    assert [b"x"] == drain(listener)


def test_scripts_are_loaded_again_after_a_flush(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    for _ in range(2):
        client.script_flush()
        pubsub.publish_many("t", [Draft(data=b"1", delay=0.01), b"2"], raw=True)
        pubsub.publish("t", b"3", delay=0.01, raw=True)
        time.sleep(0.03)

        assert {b"1", b"2", b"3"} == set(drain(consumer))


def test_a_consumer_joins_again_after_a_flush(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    client.flushdb()
    pubsub.publish("t", b"x", raw=True)

    assert [b"x"] == drain(consumer)


def test_a_waiting_consumer_joins_again_after_a_flush(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(consumer.receive, 1, 5)
        time.sleep(0.1)
        client.flushdb()
        time.sleep(0.1)
        pubsub.publish("t", b"x", raw=True)

        assert [b"x"] == [message.data for message in waiting.result()]


@pytest.mark.parametrize("call", ["ack", "nack", "release", "dead_letter"])
@pytest.mark.parametrize("groups", [["g"], ["g", "h"]], ids=["one group", "two groups"])
def test_messages_that_a_flush_removed_are_passed_over(pubsub, client, groups, call):
    consumer, *_ = [pubsub.consumer("t", group, raw=True) for group in groups]
    pubsub.publish("t", b"x", raw=True)
    messages = consumer.receive(1)
    client.flushdb()
    getattr(consumer, call)(messages)
    left = consumer.extend(messages)
    consumer.close()

    assert (1, [False]) == (len(messages), left)


def test_flushes_at_any_moment_raise_nothing_but_errors_that_a_repeat_mends(pubsub, client, monkeypatch):
    monkeypatch.setattr("capa_core.components.redis.pubsub._FORGET_CONSUMERS_S", 0.01)
    end, errors, settled = time.monotonic() + 2, [], []
    consumer = pubsub.consumer("t", raw=True, max_deliveries=2)

    def flush():
        while time.monotonic() < end:
            client.flushdb()
            time.sleep(0.003)

    def settle(call, message):
        try:
            call([message])
            settled.append(call)
        except CapaError as error:
            errors.append(error)

    with ThreadPoolExecutor(1) as threads:
        flushing = threads.submit(flush)
        for call in cycle(
            [consumer.ack, consumer.nack, consumer.release, consumer.extend, consumer.dead_letter]
        ):
            if time.monotonic() > end:
                break
            try:
                pubsub.publish("t", b"x", raw=True)
                for message in consumer.receive(1, 0.05):
                    settle(call, message)
            except CapaError as error:
                errors.append(error)
        flushing.result()

    assert [] == [error for error in errors if not error.retryable]
    assert 5 == len(set(settled))


def test_a_broken_connection_is_replaced(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    for number in range(3):
        client.client_kill_filter(_type="normal", skipme=True)
        pubsub.publish("t", b"%d" % number, raw=True)
        client.client_kill_filter(_type="normal", skipme=True)

        assert [b"%d" % number] == drain(consumer)


def test_consumers_leave_nothing_behind(pubsub, client):
    for _ in range(5):
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish("t", b"x", raw=True)
        drain(consumer)
        consumer.close()

    assert [] == client.xinfo_consumers("capa:pubsub:{:t}:0", "default")


def test_dead_consumers_are_removed_unless_they_hold_messages(pubsub, client, monkeypatch):
    monkeypatch.setattr("capa_core.components.redis.pubsub._DEAD_CONSUMER_MS", 100)
    stream = "capa:pubsub:{:t}:0"
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"held", raw=True)
    client.xreadgroup("default", "60000|dead but holding", {stream: ">"})
    client.xreadgroup("default", "60000|dead", {stream: ">"})
    time.sleep(0.2)
    consumer._driver._consumer._next_forget = 0.0
    consumer.receive(1, 0.05)

    names = {info["name"] for info in client.xinfo_consumers(stream, "default")}
    assert "60000|dead but holding" in names
    assert "60000|dead" not in names


@pytest.mark.parametrize("topic", ["t", "}", "{}", "{a}b", "ü{"])
def test_all_keys_of_a_topic_share_a_slot(pubsub, client, topic):
    pubsub.consumer(topic, raw=True, lease=1)
    pubsub.publish_many(
        topic, [Draft(data=b"1"), Draft(data=b"2", priority=9), Draft(data=b"3", delay=9)], raw=True
    )
    consumer = pubsub.consumer(topic, raw=True)
    consumer.nack(consumer.receive(1), 60)
    slots = {redis.crc.key_slot(key.encode()) for key in client.scan_iter("*")}

    assert 1 == len(slots)


def test_an_urgent_message_overtakes_many_others(pubsub):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"normal"] * 50, raw=True)
    pubsub.publish("t", b"urgent", priority=9, raw=True)

    assert b"urgent" == consumer.receive(1)[0].data


def test_a_waiting_consumer_receives_no_more_than_requested(pubsub):
    consumer, other = pubsub.consumer("t", raw=True), pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [Draft(data=b"x", priority=level) for level in range(10)], raw=True)
    with_group = consumer._driver._consumer._await_new(4, 0.01)

    assert 4 == len(with_group)
    assert 6 == len(consumer.receive(10))
    assert [] == other.receive(1, 0)


def is_prompt(consumer, send, delay_s):
    """Return whether messages come within 50 ms of their time, in one of three tries: a busy machine causes delays."""
    return any(median_lateness_s(consumer, send, delay_s) < 0.05 for _ in range(3))


def median_lateness_s(consumer, send, delay_s):
    """Return how late the message of *send* comes to *consumer*, which waits for it; the median of several."""
    lateness = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(7):
            waiting = pool.submit(consumer.receive, 1, 5)
            time.sleep(0.02)
            due = time.monotonic() + delay_s
            send()
            received = waiting.result()
            lateness.append(time.monotonic() - due)
            consumer.ack(received)
    return statistics.median(lateness)


@pytest.mark.quiet
def test_a_delayed_message_wakes_a_consumer_when_due(pubsub):
    consumer = pubsub.consumer("t", raw=True)
    consumer.receive(1, 0.1)

    assert is_prompt(consumer, lambda: pubsub.publish("t", b"x", delay=0.1, raw=True), 0.1)
    assert is_prompt(consumer, lambda: pubsub.publish("t", b"x", delay=0.4, raw=True), 0.4)


@pytest.mark.quiet
def test_a_rejected_message_wakes_another_consumer(pubsub):
    consumer, other = pubsub.consumer("t", raw=True), pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"x"] * 21, raw=True)
    held = other.receive(21)

    assert is_prompt(consumer, lambda: other.nack([held.pop()], 0.1), 0.1)


def test_a_consumer_without_due_messages_writes_nothing(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    consumer.receive(1, 0.6)

    assert "0-0" == client.xinfo_stream("capa:pubsub:{:t}:wake")["last-generated-id"]


def test_more_than_a_hundred_consumers_wait_concurrently(pubsub):
    consumers = [pubsub.consumer("t", f"g{number}", raw=True) for number in range(110)]
    with ThreadPoolExecutor(len(consumers)) as pool:
        waiting = [pool.submit(consumer.receive, 1, 20) for consumer in consumers]
        pubsub.publish("t", b"x", raw=True)

        assert {b"x"} == {future.result()[0].data for future in waiting}
