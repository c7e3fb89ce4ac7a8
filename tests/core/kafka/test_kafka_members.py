"""Members of Kafka's groups: what keeps their partitions, what frees them, and what a fork leaves."""

import os
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer

from capa_core.blocks.log import Partition
from capa_core.blocks.pubsub import PubSub
from capa_core.components.kafka import _member
from capa_core.components.kafka.pubsub import KafkaPubSub
from capa_core.conformance._tolerance import PATIENCE_S, wait_until

pytestmark = [pytest.mark.server("kafka"), pytest.mark.timeout(120)]


@pytest.fixture
def pubsub(kafka_url):
    """Give the queue on the broker that all tests share."""
    with PubSub(KafkaPubSub(KafkaPubSub.settings_type(url=kafka_url, partitions=2))) as pubsub:
        yield pubsub


def poll_until(consumer, count):
    """Return the first *count* values that come."""
    end, found = time.monotonic() + PATIENCE_S, []
    while len(found) < count and time.monotonic() < end:
        found += [record.value for record in consumer.poll(count, 1)]
    return found


def test_a_partition_in_work_stays_while_another_consumer_joins(log, topic):
    """The other ones move at once, although the consumer does not poll."""
    stays = 3  # of four, the client gives the first two to a newcomer
    log.append(topic, b"%d" % stays, partition=stays)
    first, second = log.consumer(topic, session=30), log.consumer(topic, session=30)
    worked_on = []
    while not worked_on:
        worked_on = first.poll(1, 1)
    for number in range(stays):
        log.append(topic, b"%d" % number, partition=number)
    others = set(poll_until(second, 2))
    first.commit(worked_on)

    assert worked_on[0].value not in others
    assert 1 == sum(each.end - log.committed(topic)[at] == 0 for at, each in log.bounds(topic).items())


def test_a_handler_of_any_length_keeps_its_message_while_consumers_come(pubsub, topic):
    """It lasts for several leases."""
    seen, gate = [], threading.Event()

    def handle(message):
        seen.append(message.data)
        gate.wait(5)

    with pubsub.subscribe(topic, handle, raw=True, lease=1, max_messages=1):
        pubsub.publish(topic, b"long", raw=True)
        wait_until(lambda: seen)
        with pubsub.subscribe(topic, lambda message: seen.append(message.data), raw=True, lease=1):
            gate.wait(4)
        gate.set()

        wait_until(lambda: pubsub.depth(topic) == 0)
    assert [b"long"] == seen


def test_a_backlog_is_fetched_once(log, topic, monkeypatch):
    """A partition that rests would have the client drop what it holds, and fetch it again."""
    rests = []

    class Counting(Consumer):
        def pause(self, partitions):
            rests.append(partitions)
            super().pause(partitions)

    monkeypatch.setattr(_member, "Consumer", Counting)
    log.append_many(topic, [b"x"] * 5_000)
    consumer = log.consumer(topic)
    received = 0
    while received < 5_000:
        received += len(consumer.poll(100, PATIENCE_S))
        consumer.commit()

    assert [] == rests


def test_a_consumer_that_nobody_holds_leaves_its_group(log, topic):
    log.append_many(topic, [b"x"] * 8)
    consumer = log.consumer(topic, session=600)
    assert consumer.poll(1, 30)
    del consumer

    assert 8 == len(poll_until(log.consumer(topic), 8))


def test_a_consumer_that_is_closed_while_it_joins_leaves_its_group(open_log, kafka_url, topic):
    """Or the broker would wait for it until its session is over, and answer no commit of the others meanwhile."""
    log = open_log(kafka_url, partitions=1)  # the newcomers have none, and so nothing to give back
    first = log.consumer(topic, session=60)
    for moment in range(20):
        log.append(topic, b"%d" % moment)
        assert [b"%d" % moment] == poll_until(first, 1)
        newcomer = log.consumer(topic, session=60)
        joining = threading.Thread(target=newcomer.poll, args=(1, 0))
        joining.start()
        time.sleep(moment * 0.002)
        newcomer.close()
        joining.join()

        first.commit()
    assert {Partition(topic, 0): 20} == log.committed(topic)


def test_a_forked_child_has_clients_of_its_own(log, topic):
    """The parent's go on."""
    log.append(topic, b"parent", partition=0)
    consumer = log.consumer(topic)
    assert [b"parent"] == poll_until(consumer, 1)
    child = os.fork()
    if not child:
        code = 1
        try:
            log.forget()
            log.append(topic, b"child", partition=0)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert 0 == status
    assert [b"child"] == poll_until(consumer, 1)
    consumer.commit()
    assert 2 == log.committed(topic)[Partition(topic, 0)]


def test_the_native_producer_is_that_of_the_component(log, topic):
    log.create_topic(topic)
    producer = log.native(Producer)
    producer.produce(topic, b"native")
    producer.flush(30)

    assert [b"native"] == poll_until(log.reader(topic), 1)
