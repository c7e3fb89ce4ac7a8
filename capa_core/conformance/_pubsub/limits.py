"""Limits: messages up to a declared limit are delivered; larger ones are refused before they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.blocks.pubsub.driver import PubSubDriver
from capa_core.call.checks import LONGEST_SPAN_S
from capa_core.conformance._limits import affordable, over, unreachable
from capa_core.conformance._pubsub.suite import Suite, receive
from capa_core.errors import InvalidArgumentError


class LimitPromises(Suite):
    """The promises of `limits`."""

    def test_a_message_as_large_as_declared_is_delivered(self, pubsub: PubSub, topic: str) -> None:
        """Its topic has the longest name."""
        topic = (topic + "x" * 255)[: pubsub.limits.max_name_length]
        consumer = pubsub.consumer(topic, raw=True)
        body = b"x" * affordable(pubsub.limits.max_message_bytes)
        pubsub.publish(topic, body, raw=True, attributes={"h": "v" * 1000})

        assert [body] == [message.data for message in receive(consumer, 1)]

    def test_a_larger_message_is_refused_before_it_is_sent(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same holds in a batch, of which nothing is published."""
        body = over(pubsub.limits.max_message_bytes)
        unreachable(monkeypatch, driver, ["publish"])

        with pytest.raises(InvalidArgumentError, match=r"'suite'.*max_message_bytes"):
            pubsub.publish(topic, body, raw=True)
        with pytest.raises(InvalidArgumentError, match="max_message_bytes"):
            pubsub.publish_many(topic, [b"small", body], raw=True)

    def test_a_message_with_the_longest_declared_delay_is_accepted(self, pubsub: PubSub, topic: str) -> None:
        """It is not delivered yet."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True, delay=pubsub.limits.max_delay_s or 10**9)

        assert [] == consumer.receive(1, 0.2)
        assert 1 == pubsub.depth(topic)

    def test_a_longer_delay_is_refused_before_it_is_sent(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """This holds if the driver declares a longest delay."""
        longest = pubsub.limits.max_delay_s
        if longest is None:
            pytest.skip("no limit is known")
        unreachable(monkeypatch, driver, ["publish"])

        with pytest.raises(InvalidArgumentError, match="max_delay_s"):
            pubsub.publish(topic, b"x", raw=True, delay=longest + 1)

    def test_a_message_is_rejected_with_the_longest_declared_delay_and_no_longer_one(
        self, pubsub: PubSub, topic: str
    ) -> None:
        """A refused rejection leaves the message with its consumer."""
        longest = pubsub.limits.max_delay_s
        pubsub.publish(topic, b"x", raw=True)
        with pubsub.intake(topic, raw=True) as intake, pubsub.consumer(topic, raw=True) as consumer:
            messages = intake.receive(1, 5.0)
            for reject in (intake.nack, consumer.nack):
                with pytest.raises(InvalidArgumentError, match="delay"):
                    reject(messages, LONGEST_SPAN_S * 2 if longest is None else longest + 1)

            assert messages == intake.held()
            intake.nack(messages, longest or 10**9)

            assert ([], []) == (intake.held(), consumer.receive(1, 0.2))
            assert 1 == pubsub.depth(topic)

    def test_a_longer_delay_of_retries_is_refused(self, pubsub: PubSub, topic: str) -> None:
        """Nothing is subscribed to."""
        longest = pubsub.limits.max_delay_s

        with pytest.raises(InvalidArgumentError, match="retry_delay"):
            pubsub.subscribe(topic, print, retry_delay=LONGEST_SPAN_S * 2 if longest is None else longest + 1)

    def test_a_batch_may_be_larger_than_one_request(self, pubsub: PubSub, topic: str) -> None:
        """The core then sends several requests."""
        count = (pubsub.limits.max_batch or 50) + 1
        consumer = pubsub.consumer(topic, raw=True)
        results = pubsub.publish_many(topic, [b"x"] * count, raw=True)

        assert [True] * count == [result.ok for result in results]
        assert count == len(receive(consumer, count))
