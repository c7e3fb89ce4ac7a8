"""What Redis pub/sub promises beyond the suite: one command a publish, bounded memory, tidy groups, cluster slots."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from capa_core.blocks.pubsub import Draft, PubSub
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings

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
    """Return how many messages the database holds, wherever they are."""
    streams = sum(client.xlen(key) for key in client.scan_iter("*", _type="stream"))
    return streams + sum(client.zcard(key) for key in client.scan_iter("*", _type="zset"))


def test_a_publish_is_one_command(pubsub, client):
    pubsub.publish("t", b"x", raw=True)
    before = client.info("commandstats")
    pubsub.publish("t", b"x", raw=True)
    after = client.info("commandstats")

    added = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert {"cmdstat_xadd": 1, "cmdstat_info": 1} == {name: calls for name, calls in added.items() if calls}


def test_nothing_is_left_of_what_was_acknowledged(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    for priority in (0, 5, 9):
        pubsub.publish_many("t", [Draft(data=b"x" * 1_000, priority=priority)] * 500, raw=True)
    pubsub.publish("t", b"later", delay=0.05, raw=True)
    time.sleep(0.1)
    drain(consumer)

    assert 0 == entries(client)
    assert 100_000 > sum(client.memory_usage(key) or 0 for key in client.scan_iter("*"))


def test_an_entry_goes_when_the_last_group_has_acknowledged_it(pubsub, client):
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


def test_a_broadcast_group_takes_what_only_it_needed_with_it(pubsub, client):
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


def test_scripts_that_the_server_has_forgotten_are_sent_again(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    for _ in range(2):
        client.script_flush()
        pubsub.publish_many("t", [Draft(data=b"1", delay=0.01), b"2"], raw=True)
        pubsub.publish("t", b"3", delay=0.01, raw=True)
        time.sleep(0.03)

        assert {b"1", b"2", b"3"} == set(drain(consumer))


def test_a_server_that_forgot_everything_is_joined_again(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    client.flushdb()
    pubsub.publish("t", b"x", raw=True)

    assert [b"x"] == drain(consumer)


def test_a_connection_that_was_cut_is_made_anew(pubsub, client):
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


def test_consumers_that_died_are_forgotten_once_they_hold_nothing(pubsub, client, monkeypatch):
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


def test_an_urgent_message_overtakes_among_many(pubsub):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"normal"] * 50, raw=True)
    pubsub.publish("t", b"urgent", priority=9, raw=True)

    assert b"urgent" == consumer.receive(1)[0].data


def test_a_waiting_consumer_takes_no_more_than_it_asked_for(pubsub):
    consumer, other = pubsub.consumer("t", raw=True), pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [Draft(data=b"x", priority=level) for level in range(10)], raw=True)
    with_group = consumer._driver._consumer._await_new(4, 0.01)

    assert 4 == len(with_group)
    assert 6 == len(consumer.receive(10))
    assert [] == other.receive(1, 0)


def is_prompt(consumer, send, delay_s):
    """Return whether messages come within 50 ms of their time; tried thrice, for a busy machine adds its own."""
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
def test_a_delayed_message_wakes_who_waits_when_it_is_due(pubsub):
    consumer = pubsub.consumer("t", raw=True)
    consumer.receive(1, 0.1)

    assert is_prompt(consumer, lambda: pubsub.publish("t", b"x", delay=0.1, raw=True), 0.1)
    assert is_prompt(consumer, lambda: pubsub.publish("t", b"x", delay=0.4, raw=True), 0.4)


@pytest.mark.quiet
def test_a_message_that_is_handed_back_wakes_another_who_waits(pubsub):
    consumer, other = pubsub.consumer("t", raw=True), pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"x"] * 21, raw=True)
    held = other.receive(21)

    assert is_prompt(consumer, lambda: other.nack([held.pop()], 0.1), 0.1)


def test_a_consumer_that_waits_for_nothing_that_is_due_writes_nothing(pubsub, client):
    consumer = pubsub.consumer("t", raw=True)
    consumer.receive(1, 0.6)

    assert "0-0" == client.xinfo_stream("capa:pubsub:{:t}:wake")["last-generated-id"]


def test_more_than_a_hundred_consumers_wait_at_once(pubsub):
    consumers = [pubsub.consumer("t", f"g{number}", raw=True) for number in range(110)]
    with ThreadPoolExecutor(len(consumers)) as pool:
        waiting = [pool.submit(consumer.receive, 1, 20) for consumer in consumers]
        pubsub.publish("t", b"x", raw=True)

        assert {b"x"} == {future.result()[0].data for future in waiting}
