"""Celery's queues on Redis: the layout is kombu's, no message is lost with its consumer, nor taken from a live one."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
import redis
from kombu import Connection

from capa_core import PubSub
from capa_core.blocks.pubsub import Consumer, in_layout
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import UnsupportedError

pytestmark = pytest.mark.server("redis")
HELD, TIMES, LEASES = "unacked", "unacked_index", "_capa.celery.leases"
LEASE_S = 1.0


class Broker:
    """The queue `celery`, as kombu and as a consumer of Capa see it."""

    def __init__(self, url: str, component: PubSub) -> None:
        self.url = url
        self.component = component
        self.opened: list[Connection] = []
        self.client = redis.Redis.from_url(url, decode_responses=True)

    def queues(self, **options: Any) -> PubSub:
        return in_layout(self.component, "celery", options)

    def consumer(self, *, lease: float = LEASE_S, **options: Any) -> Consumer:
        return self.queues(**options).consumer("celery", "celery", lease=lease, raw=True)

    def send(self, body: str = "", **headers: Any) -> None:
        priority = headers.pop("priority", 0)
        with Connection(self.url) as connection:
            producer = connection.Producer(auto_declare=False)
            producer.publish(body, routing_key="celery", headers=headers, priority=priority)

    def send_copies(self, count: int) -> None:
        """Send a message as an exchange does to which *count* queues are bound; all are in this one."""
        self.send(n=1)
        raw = self.client.lindex("celery", 0)
        for _ in range(count - 1):
            self.client.lpush("celery", raw)

    def waiting(self, queue: str = "celery") -> int:
        return int(self.client.llen(queue))

    def overdue(self) -> None:
        """Make the time of each held message longer ago than the visibility timeout."""
        for field in self.client.hkeys(HELD):
            self.client.zadd(TIMES, {field: time.time() - 4000})

    def kombu_channel(self) -> Any:
        """Return a channel of kombu that restores nothing when it ends: of a live worker of Celery, or a killed one."""
        connection = Connection(self.url)
        self.opened.append(connection)
        channel = connection.channel()
        channel.do_restore = False
        return channel

    def close(self) -> None:
        for connection in self.opened:
            connection.release()
        self.client.close()


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    with PubSub(RedisPubSub(RedisPubSubSettings(url=redis_url))) as component:
        broker = Broker(redis_url, component)
        yield broker
        broker.close()


def received(consumer: Consumer, count: int = 1) -> list[Any]:
    found: list[Any] = []
    wait_until(lambda: len(found) >= count or found.extend(consumer.receive(10, 1)) or len(found) >= count)
    return found


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def bodies(messages: list[Any]) -> list[str]:
    return [json.loads(message.data)["headers"]["n"] for message in messages]


def test_a_received_message_is_held_as_kombu_holds_it_and_gone_when_it_is_acknowledged(broker: Broker):
    broker.send(n="1")
    consumer = broker.consumer()
    (message,) = received(consumer)
    (field,) = broker.client.hkeys(HELD)
    envelope, exchange, key = json.loads(broker.client.hget(HELD, field))
    left = broker.waiting(), broker.client.zscore(TIMES, field) - time.time()
    consumer.ack([message])

    assert (exchange, key) == ("", "celery")
    assert envelope == json.loads(message.data)
    assert envelope["properties"]["delivery_tag"] == message.id
    assert left[0] == 0
    assert abs(left[1]) < 60
    assert not broker.client.exists(HELD, TIMES, LEASES)


def test_messages_come_in_the_order_of_sending_and_the_urgent_first(broker: Broker):
    for number, priority in enumerate([9, 3, 0, 0]):
        broker.send(n=number, priority=priority)

    assert bodies(received(broker.consumer(), 4)) == [2, 3, 1, 0]


def test_messages_of_a_consumer_that_is_gone_come_back_after_its_lease_marked_and_first(broker: Broker):
    broker.send(n="lost")
    lost = broker.consumer()
    (first,) = received(lost)
    broker.send(n="other")
    other = broker.consumer(lease=30)
    found = received(other, 2)
    lost.ack([first])

    assert sorted(bodies(found)) == ["lost", "other"]
    assert {body: message.delivery_count for body, message in zip(bodies(found), found, strict=True)} == {
        "lost": 2,
        "other": 1,
    }
    assert broker.client.hlen(HELD) == 2  # a late acknowledgement does not settle another's delivery


@pytest.mark.parametrize("more", [{}, {"eta": "2001-02-03T04:05:06+00:00"}, {"priority": 6}], ids=str)
def test_a_part_of_a_group_goes_from_a_dead_consumer_of_capa_to_a_live_one_alone(broker: Broker, more: Any):
    """A worker of Celery would not wait for the claim that the dead one may have on the body of a chord."""
    broker.send(n="part", group="g", **more)
    lost = broker.consumer()
    (first,) = received(lost)
    (old,) = broker.client.hkeys(HELD)
    taken: list[Any] = []
    celery = Thread(
        target=lambda: taken.append(broker.client.brpop(["celery", "celery\x06\x166"], 3 * LEASE_S))
    )
    celery.start()
    other = broker.consumer(lease=30)
    (found,) = received(other)
    celery.join()
    lost.ack([first])

    assert taken == [None]
    assert (bodies([found]), found.delivery_count, found.id) == (["part"], 2, first.id)
    assert json.loads(found.data)["headers"]["redelivered"] is True
    assert [old] != broker.client.hkeys(HELD) == broker.client.zrange(LEASES, 0, -1)


@pytest.mark.parametrize("end", ["nack", "close"])
@pytest.mark.parametrize("more", [{}, {"eta": "2001-02-03T04:05:06+00:00"}], ids=str)
def test_a_part_of_a_group_whose_work_was_broken_off_goes_to_capa_alone(broker: Broker, more: Any, end: str):
    """Its process may have died with a claim on the body of a chord; the worker itself lives, or ends in order."""
    broker.send(n="part", group="g", **more)
    first = broker.consumer(lease=60)
    (part,) = received(first)
    if end == "nack":
        first.nack([part])
    else:
        first.close()
    waiting = broker.waiting()
    (found,) = received(broker.consumer(lease=60))

    assert waiting == 0
    assert (found.delivery_count, found.id) == (2, part.id)


def lapsed(broker: Broker, count: int, since_s: float = 0.0, **headers: Any) -> None:
    """Leave *count* messages with a consumer whose lease ended *since_s* ago."""
    for number in range(count):
        broker.send(n=number, **headers)
    holder = broker.consumer(lease=600)
    received(holder, count)
    ends = dict.fromkeys(broker.client.zrange(LEASES, 0, -1), time.time() * 1000 - since_s * 1000 - 1)
    broker.client.zadd(LEASES, ends)


def test_a_part_of_a_group_that_was_taken_over_and_is_released_stays_with_capa(broker: Broker):
    lapsed(broker, 1, group="g")
    first = broker.consumer(lease=600)
    first.release(received(first))
    waiting = broker.waiting()

    assert (waiting, len(received(broker.consumer(lease=600)))) == (0, 1)


def test_a_consumer_takes_over_as_many_parts_of_groups_as_it_can_work_on(broker: Broker):
    lapsed(broker, 3, group="g")
    busy, free = broker.consumer(lease=600), broker.consumer(lease=600)
    busy.extend([])  # it has no room to receive
    one = busy.receive(1, 10)
    rest = received(free, 2)

    assert (len(one), len(rest)) == (1, 2)


def test_a_part_of_a_group_of_another_queue_is_left_to_its_consumers_while_a_claim_may_last(broker: Broker):
    lapsed(broker, 1, group="g")
    other = broker.queues().consumer("another", "another", raw=True)
    other.receive(1, 0.1)
    left = broker.waiting(), broker.client.hlen(HELD)
    (receipt,) = broker.client.zrange(LEASES, 0, -1)
    broker.client.zadd(LEASES, {receipt: time.time() * 1000 - 61_000})
    wait_until(lambda: other.receive(1, 0.1) or broker.waiting())

    assert (left, broker.waiting(), broker.client.hlen(HELD)) == ((0, 1), 1, 0)


def test_parts_that_are_left_to_others_hold_up_no_other_message(broker: Broker):
    broker.send(n="plain")
    received(broker.consumer(lease=600))
    (plain,) = broker.client.zrange(LEASES, 0, -1)
    lapsed(broker, 120, since_s=1.0, group="g")
    broker.client.zadd(LEASES, {plain: time.time() * 1000 - 1})
    other = broker.queues().consumer("another", "another", raw=True)
    wait_until(lambda: other.receive(1, 0.1) or broker.waiting())

    assert broker.waiting() == 1


def test_an_extended_lease_ends_later_and_its_time_is_renewed_for_celery(broker: Broker):
    broker.send(n=1)
    holder = broker.consumer(lease=60)
    (message,) = received(holder)
    (receipt,) = broker.client.zrange(LEASES, 0, -1)
    broker.client.zadd(LEASES, {receipt: time.time() * 1000 + 10_000})
    broker.client.zadd(TIMES, {receipt: time.time() - 3000})

    assert holder.extend([message]) == [True]
    assert broker.client.zscore(LEASES, receipt) > time.time() * 1000 + 20_000
    assert broker.client.zscore(TIMES, receipt) > time.time() - 60
    assert broker.consumer().receive(1, 0) == []


def test_a_live_worker_of_celery_keeps_its_messages(broker: Broker):
    broker.send(n=1)
    channel = broker.kombu_channel()
    held = channel.basic_get("celery")
    consumer = broker.consumer()

    assert consumer.receive(1, 2 * LEASE_S) == []
    assert broker.client.hkeys(HELD) == [held.delivery_tag]


def test_messages_of_a_killed_worker_of_celery_come_back_after_its_visibility_timeout(broker: Broker):
    broker.send(n=1)
    held = broker.kombu_channel().basic_get("celery")
    broker.client.zadd(TIMES, {held.delivery_tag: time.time() - 100})
    (message,) = received(broker.consumer(visibility_timeout=60))

    assert message.id == held.delivery_tag
    assert message.delivery_count == 2


def test_an_overdue_message_of_a_topic_exchange_goes_to_the_queues_that_are_bound(broker: Broker):
    message = {"headers": {"n": 1}, "properties": {"delivery_tag": "t", "delivery_info": {}}}
    broker.client.hset(HELD, "t", json.dumps([message, "logs", "logs.error"]))
    broker.client.zadd(TIMES, {"t": 1.0})
    broker.client.sadd(
        "_kombu.binding.logs", "logs.#\x06\x16logs.#\x06\x16celery", "other\x06\x16\x06\x16other"
    )
    (found,) = received(broker.consumer())

    assert found.id == "t"
    assert broker.waiting("other") == 0


def test_kombu_restores_what_a_consumer_of_capa_held(broker: Broker):
    broker.send(n=1)
    received(broker.consumer())
    broker.overdue()
    channel = broker.kombu_channel()
    channel.qos.restore_visible(num=10)
    again = channel.basic_get("celery")

    assert again.headers["n"] == 1
    assert again.delivery_info["redelivered"] is True


def test_what_celery_took_after_a_lease_stays_with_it(broker: Broker):
    broker.send(n=1)
    (message,) = received(broker.consumer())
    broker.overdue()
    channel = broker.kombu_channel()
    channel.qos.restore_visible(num=10)
    channel.basic_get("celery")
    wait_until(lambda: broker.client.zrange(LEASES, 0, -1, withscores=True)[0][1] < time.time() * 1000)
    broker.client.zadd(TIMES, {message.id: time.time()})

    assert broker.consumer().receive(1, LEASE_S) == []
    assert broker.client.hkeys(HELD) == [message.id]


def test_each_copy_that_an_exchange_makes_of_a_message_is_settled_on_its_own(broker: Broker):
    broker.send_copies(2)
    consumer = broker.consumer(lease=60)
    found = received(consumer, 2)
    consumer.ack(found[1:])

    assert consumer.extend(found[:1]) == [True]
    assert len(broker.client.hkeys(HELD)) == 1


def test_a_copy_that_celery_settles_leaves_the_other_to_its_holder(broker: Broker):
    broker.send_copies(2)
    consumer = broker.consumer(lease=60)
    (held,) = consumer.receive(1, 1)
    broker.kombu_channel().basic_get("celery").ack()

    assert consumer.extend([held]) == [True]


def test_a_late_acknowledgement_of_celery_settles_no_delivery_of_capa(broker: Broker):
    broker.send(n=1)
    late = broker.kombu_channel().basic_get("celery")
    broker.overdue()
    consumer = broker.consumer(lease=60)
    (message,) = received(consumer)
    late.ack()

    assert consumer.extend([message]) == [True]


def test_released_messages_come_first_again_in_their_order_and_unmarked(broker: Broker):
    for number in range(4):
        broker.send(n=number)
    consumer = broker.consumer(lease=30)
    found = received(consumer, 4)
    consumer.release(found[1:3])
    broker.send(n=4)
    again = received(consumer, 3)

    assert bodies(again) == [1, 2, 4]
    assert [message.delivery_count for message in again] == [1, 1, 1]


def test_a_rejected_message_comes_again_at_the_end_and_marked(broker: Broker):
    for number in range(2):
        broker.send(n=number)
    consumer = broker.consumer(lease=30)
    first, _ = received(consumer, 2)
    consumer.nack([first])
    (again,) = received(consumer)

    assert (bodies([again]), again.delivery_count) == ([0], 2)


def test_others_pass_a_message_that_is_held_before_its_eta(broker: Broker):
    broker.send(n="later", eta=in_an_hour())
    broker.send(n="now")
    (now,) = received(broker.consumer())

    assert bodies([now]) == ["now"]
    assert broker.client.hlen(HELD) == 2


def test_a_message_comes_at_its_eta_unmarked(broker: Broker):
    due = datetime.now(UTC) + timedelta(seconds=1)
    broker.send(n=1, eta=due.isoformat())
    (message,) = received(broker.consumer(lease=60))

    assert datetime.now(UTC) >= due
    assert message.delivery_count == 1


def test_a_closed_consumer_gives_back_what_it_holds_before_the_eta_unmarked(broker: Broker):
    broker.send(n=1, eta=in_an_hour())
    consumer = broker.consumer()
    consumer.receive(1, 0)
    held = broker.client.hlen(HELD)
    consumer.close()
    message = json.loads(broker.client.lindex("celery", 0))

    assert held == 1
    assert "redelivered" not in message["headers"]
    assert not broker.client.exists(HELD, TIMES, LEASES)


def test_a_message_before_its_eta_is_extended_with_the_consumers_others(broker: Broker):
    broker.send(n=1, eta=in_an_hour())
    holder = broker.consumer(lease=60)
    holder.receive(1, 0)
    (receipt,) = broker.client.zrange(LEASES, 0, -1)
    broker.client.zadd(LEASES, {receipt: time.time() * 1000 + 10_000})
    holder.extend([])

    assert broker.client.zscore(LEASES, receipt) > time.time() * 1000 + 20_000


def test_a_message_before_its_eta_comes_back_after_its_holder_is_gone(broker: Broker):
    broker.send(n=1, eta=in_an_hour())
    broker.consumer().receive(1, 0)
    other = broker.consumer(lease=60)
    (lost,) = broker.client.zrange(LEASES, 0, -1)
    wait_until(lambda: other.receive(1, 0.1) or broker.client.zrange(LEASES, 0, -1) not in ([lost], []))

    assert broker.client.hlen(HELD) == 1


def test_a_message_that_was_lost_before_its_eta_does_not_come_at_it(broker: Broker):
    due = datetime.now(UTC) + timedelta(seconds=3 * LEASE_S)
    broker.send(n=1, eta=due.isoformat())
    suspended = broker.consumer()
    suspended.receive(1, 0)
    (lost,) = broker.client.zrange(LEASES, 0, -1)
    other = broker.consumer(lease=60)
    found: list[Any] = []
    wait_until(
        lambda: found.extend(other.receive(1, 0.1)) or broker.client.zrange(LEASES, 0, -1) not in ([lost], [])
    )
    wait_until(lambda: datetime.now(UTC) > due)
    late = suspended.receive(1, 0)
    found += received(other) if not found else []

    assert late == []
    assert len(found) == 1


@pytest.mark.parametrize(("visibility_s", "renewal_s"), [(2, 0.5), (3600, 10)])
def test_leases_are_renewed_before_the_visibility_timeout(
    broker: Broker, visibility_s: float, renewal_s: float
):
    queues = broker.queues(visibility_timeout=visibility_s)
    with queues.intake("celery", "celery", lease=60, raw=True) as intake:
        assert intake.renewal_s == renewal_s


@pytest.mark.parametrize(
    "raw",
    [
        *(b"no json", b"[1, 2]", b'{"properties": 3}', b"\x00", b'{"headers": {"eta": "soon"}}'),
        *("“é”".encode(), b"\xff\xfe", b'"text"', b'{"a": 0x10}', b"", b'\\", ""'),
    ],
)
def test_a_message_of_another_program_is_received_as_it_is(broker: Broker, raw: bytes):
    broker.client.lpush("celery", raw)
    consumer = broker.consumer()
    (message,) = received(consumer)
    (again,) = received(broker.consumer())
    consumer.close()

    assert message.data == again.data == raw


def test_a_waiting_consumer_leaves_the_queue_as_it_is_and_ends_when_it_is_closed(broker: Broker):
    consumer = broker.consumer()
    assert consumer.receive(1, 0.5) == []
    broker.send(n=1)
    broker.send(n=2)
    other = broker.kombu_channel().basic_get("celery")
    consumer.close()

    assert other.headers["n"] == 1
    assert broker.waiting() == 1


def test_keys_have_the_prefix_and_the_names_that_the_application_chose(broker: Broker):
    raw = json.dumps({"headers": {"n": 1}, "properties": {"delivery_tag": str(uuid4())}})
    broker.client.lpush("x:celery|5", raw)
    options = {"global_keyprefix": "x:", "sep": "|", "priority_steps": [0, 5], "unacked_key": "mine"}
    received(broker.consumer(**options))

    assert set(broker.client.keys()) == {"x:mine", "x:unacked_index", f"x:{LEASES}"}


def test_dead_letters_are_shown_as_those_of_capas_own_queues(broker: Broker):
    broker.send(n=1)
    consumer = broker.consumer()
    found = received(consumer)
    consumer.dead_letter(found)

    assert [each.id for each in broker.component.dead_letters("celery")] == [found[0].id]
    assert not broker.client.exists(HELD, TIMES, LEASES)


def test_counting_and_purging_are_of_the_lists(broker: Broker):
    broker.send(n=1)
    broker.send(n=2, priority=9)
    queues = broker.queues()

    assert queues.depth("celery") == 2
    assert queues.purge("celery") == 2
    assert queues.depth("celery") == 0


def test_a_broadcast_and_another_layout_are_refused(broker: Broker):
    with pytest.raises(UnsupportedError, match="fanout"):
        broker.queues().consumer("celery", broadcast=True)
    with pytest.raises(UnsupportedError, match="'sidekiq'"):
        in_layout(broker.component, "sidekiq", {})
