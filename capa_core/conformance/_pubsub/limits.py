"""What is declared as a limit is carried; what is over it is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.blocks.pubsub.driver import PubSubDriver
from capa_core.conformance._limits import affordable, over, unreachable
from capa_core.conformance._pubsub.setting import Setting, receive
from capa_core.errors import InvalidArgumentError


class LimitPromises(Setting):
    """Of `limits`."""

    def test_a_message_as_large_as_declared_comes_whole(self, pubsub: PubSub, topic: str) -> None:
        """With the longest name of a topic."""
        topic = (topic + "x" * 255)[: pubsub.limits.max_name_length]
        consumer = pubsub.consumer(topic, raw=True)
        body = b"x" * affordable(pubsub.limits.max_message_bytes)
        pubsub.publish(topic, body, raw=True, attributes={"h": "v" * 1000})

        assert [body] == [message.data for message in receive(consumer, 1)]

    def test_a_larger_message_is_refused_before_it_is_sent(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Alone and in a batch, of which nothing is published then."""
        body = over(pubsub.limits.max_message_bytes)
        unreachable(monkeypatch, driver, ["publish"])

        with pytest.raises(InvalidArgumentError, match=r"'suite'.*max_message_bytes"):
            pubsub.publish(topic, body, raw=True)
        with pytest.raises(InvalidArgumentError, match="max_message_bytes"):
            pubsub.publish_many(topic, [b"small", body], raw=True)

    def test_a_message_with_the_longest_declared_delay_is_taken(self, pubsub: PubSub, topic: str) -> None:
        """And is not there yet."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True, delay=pubsub.limits.max_delay_s or 10**9)

        assert [] == consumer.receive(1, 0.2)
        assert 1 == pubsub.depth(topic)

    def test_a_longer_delay_is_refused_before_it_is_sent(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If there is a longest one."""
        longest = pubsub.limits.max_delay_s
        if longest is None:
            pytest.skip("no limit is known")
        unreachable(monkeypatch, driver, ["publish"])

        with pytest.raises(InvalidArgumentError, match="max_delay_s"):
            pubsub.publish(topic, b"x", raw=True, delay=longest + 1)

    def test_a_batch_may_be_larger_than_one_trip(self, pubsub: PubSub, topic: str) -> None:
        """The core then makes several."""
        count = (pubsub.limits.max_batch or 50) + 1
        consumer = pubsub.consumer(topic, raw=True)
        results = pubsub.publish_many(topic, [b"x"] * count, raw=True)

        assert [True] * count == [result.ok for result in results]
        assert count == len(receive(consumer, count))
