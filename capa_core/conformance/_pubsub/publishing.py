"""Published messages arrive unchanged: bodies, attributes, batches, topics, depth and purge."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from capa_core.blocks.pubsub import Draft, PubSub, PubSubFeature
from capa_core.blocks.pubsub.driver import PubSubDriver
from capa_core.conformance._pubsub.suite import Suite, bodies, drain, outgoing, receive, take
from capa_core.conformance._tolerance import is_prompt, woken_s
from capa_core.errors import InvalidArgumentError


class PublishingPromises(Suite):
    """The promises of `publish`, `publish_many`, `depth` and `purge`."""

    def test_every_ability_is_declared(self, driver: PubSubDriver[Any]) -> None:
        """A driver declares how it supports each ability."""

        assert set(PubSubFeature) == set(driver.features)

    def test_the_engine_answers_a_ping(self, pubsub: PubSub) -> None:
        """The answer is one line."""

        assert 1 == len(pubsub.ping().splitlines())

    def test_a_message_arrives_whole(self, pubsub: PubSub, topic: str) -> None:
        """A raw message has each field as it was published."""
        consumer = pubsub.consumer(topic, raw=True)
        attributes = {"tenant": "Zürich", "empty": "", "x-trace": "1"}
        ident = pubsub.publish(topic, b"\x00\xff", content_type="image/x", attributes=attributes, raw=True)
        (message,) = receive(consumer, 1)

        assert ident == message.id
        assert (b"\x00\xff", "image/x", attributes) == (
            message.data,
            message.content_type,
            dict(message.attributes),
        )
        assert (topic, "", 0, 1) == (message.topic, message.key, message.priority, message.delivery_count)
        assert abs(time.time() - message.published_at) < 10

    @pytest.mark.parametrize("odd", ["a\x00b", "'; DROP", 'ü"é鍵🔑', "%s", "\n"])
    def test_an_odd_id_arrives_unchanged(self, pubsub: PubSub, topic: str, odd: str) -> None:
        """So does an odd key, where the engine orders by it, and the value of an attribute."""
        consumer = pubsub.consumer(topic, raw=True)
        key = odd if pubsub.features[PubSubFeature.ORDER_BY_KEY] else ""
        pubsub.publish(topic, b"x", id=odd, key=key, attributes={"h": odd}, raw=True)
        (message,) = receive(consumer, 1)

        assert (odd, key, {"h": odd}) == (message.id, message.key, message.attributes)

    @pytest.mark.parametrize(
        "body", [b"", bytes(range(256)), b"x" * 1_000_000], ids=["empty", "every byte", "1 MB"]
    )
    def test_any_body_arrives_unchanged(self, pubsub: PubSub, topic: str, body: bytes) -> None:
        """A body is bytes of any size."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, body, raw=True)

        assert [body] == bodies(receive(consumer, 1))

    @pytest.mark.parametrize(
        "data", [{"größe": [1, None, 2.5]}, "naïve", b"\xff\x00", "", 0, None, [], b'{"a": 1}']
    )
    def test_an_event_arrives_as_it_was_published(self, pubsub: PubSub, topic: str, data: Any) -> None:
        """Its envelope holds the same bytes, or the same value."""
        consumer = pubsub.consumer(topic)
        pubsub.publish(topic, data)
        (message,) = receive(consumer, 1)
        arrived = (
            message.data
            if isinstance(data, bytes)
            else message.text
            if isinstance(data, str)
            else message.json()
        )

        assert data == arrived

    def test_the_envelope_is_a_cloudevent(self, pubsub: PubSub, topic: str) -> None:
        """A raw consumer receives CloudEvents 1.0 in JSON."""
        consumer = pubsub.consumer(topic, raw=True)
        ident = pubsub.publish(topic, {"a": 1}, attributes={"type": "order.placed", "tenant": "t1"})
        (message,) = receive(consumer, 1)
        event = message.json()
        event.pop("time")

        assert "application/cloudevents+json" == message.content_type
        assert event == {
            "specversion": "1.0",
            "id": ident,
            "source": "/suite",
            "type": "order.placed",
            "tenant": "t1",
            "datacontenttype": "application/json",
            "data": {"a": 1},
        }

    def test_a_batch_arrives_with_all_its_messages(self, pubsub: PubSub, topic: str) -> None:
        """The results are in the order of the batch."""
        consumer = pubsub.consumer(topic, raw=True)
        drafts = [Draft(data=b"%d" % number, id=str(number)) for number in range(250)]
        results = pubsub.publish_many(topic, drafts, raw=True)
        messages = receive(consumer, 250)

        assert [str(number) for number in range(250)] == [result.id for result in results if result.ok]
        assert {b"%d" % number for number in range(250)} == set(bodies(messages))
        assert 250 == len(messages)

    def test_an_empty_batch_has_no_results(self, pubsub: PubSub, topic: str) -> None:
        """Nothing is published."""

        assert [] == pubsub.publish_many(topic, [])

    def test_topics_are_separate(self, pubsub: PubSub, topic: str) -> None:
        """This holds if one name is a prefix of the other."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(f"{topic}.other", b"other", raw=True)
        pubsub.publish(topic, b"mine", raw=True)

        assert [b"mine"] == bodies(drain(consumer))

    def test_a_topic_keeps_its_messages_for_the_first_group(self, pubsub: PubSub, topic: str) -> None:
        """A queue may be filled before its workers start."""
        pubsub.publish_many(topic, [b"1", b"2"], raw=True)
        waiting = pubsub.depth(topic)
        consumer = pubsub.consumer(topic, raw=True)

        assert 2 == waiting
        assert {b"1", b"2"} == set(bodies(receive(consumer, 2)))

    def test_many_threads_publish_at_once(self, pubsub: PubSub, topic: str) -> None:
        """No message is lost, and none comes twice."""
        consumer = pubsub.consumer(topic, raw=True)

        def publish(worker: int) -> None:
            for number in range(25):
                pubsub.publish(topic, b"%d-%d" % (worker, number), raw=True)

        threads = [threading.Thread(target=publish, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(b"%d-%d" % (w, n) for w in range(8) for n in range(25)) == sorted(
            bodies(drain(consumer, 200))
        )

    def test_depth_counts_waiting_leased_and_delayed_messages(self, pubsub: PubSub, topic: str) -> None:
        """Acknowledged messages are not counted."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        pubsub.publish(topic, b"later", delay=60, raw=True)
        full = pubsub.depth(topic)
        consumer.ack(receive(consumer, 1))
        receive(consumer, 1)

        assert (4, 3) == (full, pubsub.depth(topic))

    def test_depth_of_an_unknown_topic_is_zero(self, pubsub: PubSub, topic: str) -> None:
        """The call does not create the topic."""

        assert 0 == pubsub.depth(topic)

    def test_purge_removes_all_waiting_messages(self, pubsub: PubSub, topic: str) -> None:
        """It does so for every group; later messages arrive."""
        groups = [pubsub.consumer(topic, group, raw=True) for group in ("a", "b")]
        pubsub.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        pubsub.publish(topic, b"later", delay=0.3, raw=True)
        receive(groups[0], 1)
        purged = pubsub.purge(topic)
        pubsub.publish(topic, b"new", raw=True)

        assert 4 == purged
        assert [[b"new"], [b"new"]] == [bodies(drain(group)) for group in groups]

    def test_purge_of_an_unknown_topic_removes_nothing(self, pubsub: PubSub, topic: str) -> None:
        """It is not an error."""

        assert 0 == pubsub.purge(topic)

    def test_a_waiting_consumer_is_woken_by_a_message(self, pubsub: PubSub, topic: str) -> None:
        """It does not wait for its next poll."""
        consumer = pubsub.consumer(topic, raw=True)

        assert is_prompt(
            lambda: woken_s(lambda: take(consumer), lambda: pubsub.publish(topic, b"x", raw=True))
        )

    def test_a_driver_stores_in_the_order_given(self, driver: PubSubDriver[Any], topic: str) -> None:
        """It returns `None` for each message; a driver without batches gets one message at a time."""
        count = 3 if driver.features[PubSubFeature.BULK].by_driver else 1

        assert [None] * count == driver.publish(topic, [outgoing() for _ in range(count)])

    @pytest.mark.parametrize(
        "wrong",
        [{"priority": 10}, {"priority": -1}, {"delay": -1}, {"ttl": 0}, {"data": {1, 2}}, {"topic": ""}],
        ids=str,
    )
    def test_wrong_arguments_publish_nothing(self, pubsub: PubSub, topic: str, wrong: dict[str, Any]) -> None:
        """They are refused before the engine is called."""
        consumer = pubsub.consumer(topic)
        with pytest.raises(InvalidArgumentError):
            pubsub.publish(**{"topic": topic, "data": b"x", **wrong})

        assert [] == consumer.receive(1, 0)
