"""Exchanges and queues that an operator deletes under a running application: declared again, and nothing is lost."""

import threading
import time

import pytest

from capa_core.conformance._pubsub.suite import bodies, eventually, receive

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(180)]

EXCHANGES = {"topic": lambda names: names.exchange, "groups": lambda names: names.groups}
QUEUES = {"group": lambda names: names.group("default"), "index": lambda names: names.index}


@pytest.mark.parametrize("part", EXCHANGES)
def test_a_deleted_exchange_is_made_again_with_its_groups(pubsub, topic, names, channel, part):
    consumers = [pubsub.consumer(topic, group, raw=True) for group in ("one", "two")]
    pubsub.publish(topic, b"later", delay=1.5, raw=True)
    channel.exchange_delete(EXCHANGES[part](names))
    pubsub.publish(topic, b"now", raw=True)

    assert [[b"later", b"now"]] * 2 == [sorted(bodies(receive(one, 2))) for one in consumers]


@pytest.mark.parametrize("part", QUEUES)
def test_a_deleted_queue_is_made_again(pubsub, topic, names, channel, part):
    consumer = pubsub.consumer(topic, raw=True)
    channel.queue_delete(QUEUES[part](names))
    pubsub.publish(topic, b"x", raw=True)

    assert [b"x"] == bodies(receive(consumer, 1))


def test_a_topic_that_is_deleted_whole_is_made_again(pubsub, topic, names, channel):
    consumer = pubsub.consumer(topic, raw=True)
    for exchange in (names.exchange, names.groups, names.kept):
        channel.exchange_delete(exchange)
    for queue in (names.group("default"), names.index, names.kept):
        channel.queue_delete(queue)
    pubsub.publish(topic, b"x", raw=True)

    assert [b"x"] == bodies(receive(consumer, 1))


def test_messages_that_wait_for_the_first_group_are_kept_again(pubsub, topic, names, channel):
    pubsub.publish(topic, b"deleted", raw=True)
    channel.queue_delete(names.kept)
    pubsub.publish(topic, b"x", raw=True)

    assert [b"x"] == bodies(receive(pubsub.consumer(topic, raw=True), 1))


def test_a_waiting_consumer_outlives_its_queue(pubsub, topic, names, channel):
    consumer = pubsub.consumer(topic, raw=True)
    found = []
    waiting = threading.Thread(target=lambda: found.extend(receive(consumer, 1, 20)))
    waiting.start()
    eventually(lambda: consumers(channel, names))
    channel.queue_delete(names.group("default"))
    pubsub.publish(topic, b"x", raw=True)
    waiting.join()

    assert [b"x"] == bodies(found)


@pytest.mark.parametrize("delay_s", [0, 0.5])
def test_a_message_is_rejected_after_its_queue_was_deleted(pubsub, topic, names, channel, delay_s):
    consumer = pubsub.consumer(topic, raw=True)
    pubsub.publish(topic, b"x", raw=True)
    held = receive(consumer, 1)
    channel.queue_delete(names.group("default"))
    consumer.nack(held, delay_s)
    (again,) = receive(consumer, 1)

    assert (b"x", 2) == (again.data, again.delivery_count)


def test_a_late_notice_about_a_consumer_that_has_left_moves_no_other(pubsub, topic, names, channel):
    consumer, found = pubsub.consumer(topic, raw=True), []
    waiting = threading.Thread(target=lambda: found.extend(receive(consumer, 1, 20)))
    waiting.start()
    eventually(lambda: consumers(channel, names))
    puller = consumer._driver._consumer._puller
    puller._on_queue_gone(puller._channel, "capa-of-before")
    time.sleep(0.3)  # it would have been followed by another consumer of the same queue
    there = consumers(channel, names)
    pubsub.publish(topic, b"x", raw=True)
    waiting.join()

    assert (1, [b"x"]) == (there, bodies(found))


def consumers(channel, names):
    return channel.queue_declare(names.group("default"), passive=True).method.consumer_count


def test_a_deleted_ladder_of_delays_is_made_again(open_pubsub, rabbitmq_url, topic, channel):
    pubsub = open_pubsub(rabbitmq_url, prefix="ladder.")
    consumer = pubsub.consumer(topic, raw=True)
    pubsub.publish(topic, b"1", delay=0.1, raw=True)
    first = receive(consumer, 1)
    for exchange in ("ladder.delay.0", "ladder.delay.1", "ladder.due"):
        channel.exchange_delete(exchange)
    pubsub.publish(topic, b"2", delay=0.3, raw=True)

    assert [[b"1"], [b"2"]] == [bodies(first), bodies(receive(consumer, 1))]


def test_other_topics_on_the_same_channel_do_not_notice(pubsub, topic, names, channel):
    """The broker closes the channel that all threads of the process share."""
    other = f"{topic}.other"
    errors = []

    def publish_to_the_other():
        for number in range(100):
            errors.extend(result.error for result in pubsub.publish_many(other, [number]) if not result.ok)

    pubsub.publish(topic, b"x", raw=True)
    thread = threading.Thread(target=publish_to_the_other)
    thread.start()
    while thread.is_alive():
        channel.exchange_delete(names.exchange)
        pubsub.publish(topic, b"x", raw=True)
    thread.join()

    assert [] == errors
    assert 100 <= pubsub.depth(other)
