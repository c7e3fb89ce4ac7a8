"""Abilities that an engine may lack: compensated ones look like native ones, absent ones are refused."""

from __future__ import annotations

import time

import pytest

from capa_core.blocks.pubsub import Draft, PubSub, PubSubFeature
from capa_core.conformance._pubsub.suite import Suite, bodies, drain, eventually, receive
from capa_core.conformance._tolerance import PROMPT_S, SLOW_MACHINE_S, is_prompt
from capa_core.errors import InvalidArgumentError, UnsupportedError


class AbilityPromises(Suite):
    """The promises of delay, ttl, priority, order by key, and dead letters."""

    def test_a_delayed_message_comes_when_it_is_due(self, pubsub: PubSub, topic: str) -> None:
        """It comes neither earlier nor much later, and counts as delivered once."""
        consumer = pubsub.consumer(topic, raw=True)

        def comes_s() -> float:
            start = time.monotonic()
            pubsub.publish(topic, b"x", delay=0.7, raw=True)
            (message,) = receive(consumer, 1)
            took_s = time.monotonic() - start
            consumer.ack([message])

            assert 1 == message.delivery_count
            assert 0.6 < took_s
            return took_s

        assert is_prompt(comes_s, 0.7 + PROMPT_S)

    def test_a_delayed_message_does_not_delay_others(self, pubsub: PubSub, topic: str) -> None:
        """Messages that are due come first. To join its group may take a consumer of a log longer than they wait."""
        consumer = pubsub.consumer(topic, raw=True)
        assert [] == consumer.receive(1, 0)
        drafts = [Draft(data=b"third", delay=0.8), Draft(data=b"second", delay=0.4), Draft(data=b"first")]

        def come_in_order() -> bool:
            pubsub.publish_many(topic, drafts, raw=True)
            messages = receive(consumer, 1) + receive(consumer, 1) + receive(consumer, 1)
            consumer.ack(messages)
            return [b"first", b"second", b"third"] == bodies(messages)

        assert any(come_in_order() for _ in range(3))

    def test_a_delayed_message_is_kept_for_the_first_group(self, pubsub: PubSub, topic: str) -> None:
        """The topic keeps it, like any other message."""
        published = time.monotonic()
        pubsub.publish(topic, b"x", delay=1, raw=True)
        messages = receive(pubsub.consumer(topic, raw=True), 1)

        assert 0.9 < time.monotonic() - published
        assert [b"x"] == bodies(messages)

    def test_an_expired_message_is_dropped(self, pubsub: PubSub, topic: str) -> None:
        """Others are not affected."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"short", ttl=0.2, raw=True)
        pubsub.publish(topic, b"long", ttl=60, raw=True)
        pubsub.publish(topic, b"ever", raw=True)
        time.sleep(0.4)

        assert [b"ever", b"long"] == sorted(bodies(drain(consumer, 2)))
        assert 0 == pubsub.depth(topic)

    def test_a_message_that_was_received_in_time_stays(self, pubsub: PubSub, topic: str) -> None:
        """Its handling may end after the time to live."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", ttl=2, raw=True)
        consumer.nack(receive(consumer, 1), 2.3)

        assert [b"x"] == bodies(receive(consumer, 1))

    def test_a_message_tells_when_it_expires(self, pubsub: PubSub, topic: str) -> None:
        """One without a time to live does not; the attributes are those that were published."""
        consumer = pubsub.consumer(topic, raw=True)
        before = time.time()
        pubsub.publish_many(topic, [Draft(data=b"x", ttl=60), Draft(data=b"y")], raw=True)
        x, y = sorted(receive(consumer, 2), key=lambda message: message.data)

        assert x.expires_at is not None
        assert before + 60 <= x.expires_at <= time.time() + 60
        assert (None, {}, {}) == (y.expires_at, dict(x.attributes), dict(y.attributes))

    def test_an_id_is_stored_once_within_the_given_time(self, pubsub: PubSub, topic: str) -> None:
        """Also in one batch, from another topic's view anew, and after it was received; refused if not declared."""
        if not pubsub.limits.max_once_s:
            with pytest.raises(UnsupportedError, match="once_within"):
                pubsub.publish(topic, b"x", id="a", once_within=60)
            return
        consumer = pubsub.consumer(topic, raw=True)
        drafts = [Draft(data=data, id=ident, once_within=60) for data, ident in ((b"a1", "a"), (b"a2", "a"))]
        results = pubsub.publish_many(topic, [*drafts, Draft(data=b"b", id="b", once_within=60)], raw=True)
        first = receive(consumer, 2)
        consumer.ack(first)
        ident = pubsub.publish(topic, b"a3", id="a", once_within=60, raw=True)
        pubsub.publish(f"{topic}.2", b"a4", id="a", once_within=60, raw=True)
        pubsub.publish(topic, b"a5", id="a", raw=True)
        pubsub.publish(topic, b"c", id="c", once_within=60, delay=0.1, raw=True)
        pubsub.publish(topic, b"d", id="c", once_within=60, delay=0.1, raw=True)

        assert [(True, False), (True, True), (True, False)] == [(one.ok, one.duplicate) for one in results]
        assert ([b"a1", b"b"], "a") == (bodies(first), ident)
        assert [b"a5", b"c"] == bodies(receive(consumer, 2))
        assert 1 == pubsub.depth(f"{topic}.2")

    def test_an_id_may_come_again_after_the_given_time(self, pubsub: PubSub, topic: str) -> None:
        """It begins another one then."""
        if not pubsub.limits.max_once_s:
            pytest.skip("ids are not known again")
        pubsub.publish(topic, b"1", id="a", once_within=1, raw=True)

        def is_stored() -> bool:
            pubsub.publish(topic, b"2", id="a", once_within=1, raw=True)
            return pubsub.depth(topic) == 2

        assert not is_stored()
        assert eventually(is_stored)

    def test_a_longer_time_than_declared_is_refused(self, pubsub: PubSub, topic: str) -> None:
        """Nothing is published."""
        if not pubsub.limits.max_once_s:
            pytest.skip("ids are not known again")

        with pytest.raises(InvalidArgumentError, match="max_once_s"):
            pubsub.publish(topic, b"x", id="a", once_within=pubsub.limits.max_once_s + 1)
        assert 0 == pubsub.depth(topic)

    def test_the_most_urgent_waits_least(self, pubsub: PubSub, topic: str) -> None:
        """Priorities order waiting messages; they are refused if the driver declares them absent."""
        drafts = [Draft(data=b"%d" % level, priority=level) for level in (0, 9, 3, 1, 8)]
        if not pubsub.features[PubSubFeature.PRIORITY]:
            with pytest.raises(UnsupportedError):
                pubsub.publish_many(topic, drafts)
            return
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, drafts, raw=True)
        messages = [receive(consumer, 1)[0] for _ in drafts]

        assert [9, 8, 3, 1, 0] == [message.priority for message in messages]
        assert [b"9", b"8", b"3", b"1", b"0"] == bodies(messages)

    def test_an_urgent_message_wakes_a_waiting_consumer(self, pubsub: PubSub, topic: str) -> None:
        """It does so like any other message."""
        if not pubsub.features[PubSubFeature.PRIORITY]:
            pytest.skip("no priorities")
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", priority=7, raw=True)

        assert [b"x"] == bodies(receive(consumer, 1, SLOW_MACHINE_S))

    def test_messages_of_one_key_come_in_order_one_at_a_time(self, pubsub: PubSub, topic: str) -> None:
        """Messages of other keys do not wait for them; keys are refused if declared absent."""
        drafts = [Draft(data=b"a1", key="a"), Draft(data=b"a2", key="a"), Draft(data=b"b1", key="b")]
        if not pubsub.features[PubSubFeature.ORDER_BY_KEY]:
            with pytest.raises(UnsupportedError):
                pubsub.publish_many(topic, drafts)
            return
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, drafts, raw=True)
        first = receive(consumer, 2) + consumer.receive(1, 0.3)
        consumer.nack(first)
        again = receive(consumer, 2)
        consumer.ack(again)

        assert [[b"a1", b"b1"]] * 2 == [sorted(bodies(first)), sorted(bodies(again))]
        assert [b"a2"] == bodies(receive(consumer, 1))

    def test_a_message_becomes_a_dead_letter_after_max_deliveries(self, pubsub: PubSub, topic: str) -> None:
        """The topic `….dead` receives it unchanged, with its origin."""
        consumer = pubsub.consumer(topic, raw=True, max_deliveries=2)
        ident = pubsub.publish(topic, b"x", content_type="a/b", attributes={"h": "v"}, raw=True)
        consumer.nack(receive(consumer, 1))
        consumer.nack(receive(consumer, 1))
        (dead,) = receive(pubsub.consumer(f"{topic}.dead", raw=True), 1)

        assert (b"x", "a/b", "v") == (dead.data, dead.content_type, dead.attributes["h"])
        assert (ident, topic, "default", "2") == (
            dead.attributes["capa-dead-id"],
            dead.attributes["capa-dead-topic"],
            dead.attributes["capa-dead-group"],
            dead.attributes["capa-dead-deliveries"],
        )
        assert 0 == pubsub.depth(topic)

    def test_a_message_whose_consumers_die_becomes_a_dead_letter(self, pubsub: PubSub, topic: str) -> None:
        """No consumer has to hand it back."""
        first = pubsub.consumer(topic, raw=True, lease=1)
        pubsub.publish(topic, b"x", raw=True)
        receive(first, 1)
        second = pubsub.consumer(topic, raw=True, max_deliveries=1)

        def is_dead() -> bool:
            assert [] == second.receive(1, 0.5)
            return pubsub.depth(f"{topic}.dead") == 1

        assert eventually(is_dead)
