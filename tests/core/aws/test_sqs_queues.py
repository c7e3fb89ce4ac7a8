"""Queues of topics and groups: who has which, and what becomes of them."""

import threading
from uuid import uuid4

import boto3
import pytest

from capa_core.components.aws._names import Names, tagged, untagged
from capa_core.conformance._processes import Child
from capa_core.conformance._pubsub.suite import bodies, drain
from capa_core.conformance._tolerance import wait_until

pytestmark = pytest.mark.server("aws")


def queues(aws, prefix):
    found = aws("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", ())
    return sorted(url.rpartition("/")[2].removeprefix(prefix) for url in found)


def test_the_first_group_has_the_queue_of_the_topic(opened, aws, prefix):
    pubsub = opened()
    pubsub.publish("orders", b"before", raw=True)
    first, second = (pubsub.consumer("orders", name, raw=True) for name in ("billing", "stock"))
    pubsub.publish("orders", b"after", raw=True)

    assert ["orders", "orders---g-stock"] == queues(aws, prefix)
    assert [b"after", b"before"] == sorted(bodies(drain(first, 2)))
    assert [b"after"] == bodies(drain(second))


@pytest.mark.timeout(60)
def test_of_groups_that_come_at_once_one_is_the_first(opened):
    """Each of four components gets each message once."""
    consumers = {}

    def join(name):
        consumers[name] = opened(settle_s=0.5).consumer("t", name, raw=True)

    threads = [threading.Thread(target=join, args=(f"g{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened().publish_many("t", [b"1", b"2"], raw=True)

    assert [[b"1", b"2"]] * 4 == [sorted(bodies(drain(one, 2))) for one in consumers.values()]


def test_another_publisher_knows_of_a_group_once_it_has_joined(opened):
    """It has published before, and so knows the topic."""
    publisher, other = opened(settle_s=0.5), opened(settle_s=0.5)
    first = other.consumer("t", "first", raw=True)
    for number in range(4):
        publisher.publish("t", b"early", raw=True)
        late = other.consumer("t", f"late {number}", raw=True)
        publisher.publish("t", b"x", raw=True)

        assert [b"x"] == bodies(drain(late))
    assert 8 == len(drain(first, 8))


def test_a_queue_that_an_operator_deleted_is_made_again(opened, aws, prefix):
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True)
    url = aws("sqs").get_queue_url(QueueName=f"{prefix}t")["QueueUrl"]
    aws("sqs").delete_queue(QueueUrl=url)
    pubsub.publish("t", b"1", raw=True)
    first = bodies(drain(consumer))
    aws("sqs").delete_queue(QueueUrl=url)
    nothing = consumer.receive(1, 0.2)
    pubsub.publish("t", b"2", raw=True)

    assert ([b"1"], [], [b"2"]) == (first, nothing, bodies(drain(consumer)))


def test_the_queue_of_a_broadcast_ends_with_it(opened, aws, prefix):
    pubsub = opened()
    listener = pubsub.consumer("t", broadcast=True, raw=True)
    there = queues(aws, prefix)
    listener.close()

    assert 2 == len(there)
    assert ["t"] == queues(aws, prefix)


@pytest.mark.timeout(60)
def test_the_queue_of_a_dead_broadcast_is_deleted_by_the_next_publish(opened, aws, prefix):
    listener = opened().consumer("t", broadcast=True)  # which is silent from now on, as if it were killed
    publisher = opened()

    def is_deleted():
        publisher.publish("t", b"x", raw=True)
        return ["t"] == queues(aws, prefix)

    wait_until(is_deleted)

    assert listener is not None


@pytest.mark.parametrize(
    "topic", ["orders", "a-b_c", "a--b", "ü", "x" * 255, "注文" * 100, "a.fifo", "-", "a b", "a---g-b"]
)
def test_names_are_short_and_apart(topic):
    names = [Names("p" * 20, topic, fifo) for fifo in (False, True)]
    made = [
        queue
        for one in names
        for queue in (one.base, one.group("g" * 255), one.listener("default." + "f" * 32, 999))
    ]

    assert len(set(made)) == len(made)
    assert all(len(queue) <= 80 for queue in made)
    assert topic == untagged("capa:topic", tagged("capa:topic", topic))


def test_a_child_has_connections_of_its_own(opened):
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"parent", raw=True)

    def publish():
        pubsub.forget()
        return pubsub.publish("t", b"child", raw=True, id="child")

    answer = Child(publish).result()

    assert "child" == answer
    assert [b"child", b"parent"] == sorted(bodies(drain(consumer, 2)))


def test_a_role_is_assumed(opened, aws):
    pubsub = opened(role_arn="arn:aws:iam::123456789012:role/worker")
    pubsub.publish(uuid4().hex, b"x")
    key = pubsub.native(boto3.Session).get_credentials().access_key

    assert "test" != key
