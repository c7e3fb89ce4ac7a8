"""Leases of received messages: acknowledged, handed back, extended, or lost to another consumer."""

from __future__ import annotations

import threading
import time

import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.conformance._pubsub.setting import SOON_S, Setting, bodies, elapsed_s, receive
from capa_core.errors import ClosedError, InvalidArgumentError


class LeasePromises(Setting):
    """Of `receive`, `ack`, `nack`, `release`, `extend` and `close`."""

    def test_receive_returns_at_once_what_there_is(self, pubsub: PubSub, topic: str) -> None:
        """It does not wait to fill the batch."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)

        assert elapsed_s(lambda: consumer.receive(100, 10)) < SOON_S

    def test_receive_returns_nothing_after_its_timeout(self, pubsub: PubSub, topic: str) -> None:
        """Neither much earlier nor much later."""
        consumer = pubsub.consumer(topic, raw=True)

        assert 0.25 < elapsed_s(lambda: consumer.receive(1, 0.3)) < 0.3 + SOON_S
        assert elapsed_s(lambda: consumer.receive(1, 0)) < SOON_S

    def test_receive_returns_no_more_than_asked(self, pubsub: PubSub, topic: str) -> None:
        """The others are for the next call."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, [b"x"] * 5, raw=True)

        assert len(consumer.receive(2, 5)) <= 2
        assert len(consumer.receive(1, 5)) == 1

    def test_a_received_message_is_hidden_from_the_others(self, pubsub: PubSub, topic: str) -> None:
        """For the length of the lease."""
        first, second = pubsub.consumer(topic, lease=30), pubsub.consumer(topic, lease=30)
        pubsub.publish(topic, 1)
        receive(first, 1)

        assert [] == second.receive(1, 0.3)

    def test_a_message_comes_back_after_its_lease(self, pubsub: PubSub, topic: str) -> None:
        """To any consumer, counted once more."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        (lost,) = receive(first, 1)
        start = time.monotonic()
        (found,) = receive(second, 1)

        assert (lost.id, 2) == (found.id, found.delivery_count)
        assert 0.7 < time.monotonic() - start < 1 + 2

    def test_each_consumer_has_its_own_lease(self, pubsub: PubSub, topic: str) -> None:
        """A short one beside it does not shorten a long one."""
        long, short = pubsub.consumer(topic, lease=60, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        receive(long, 1)

        assert [] == short.receive(1, 2.5)

    def test_an_acknowledged_message_is_gone(self, pubsub: PubSub, topic: str) -> None:
        """Also after its lease, and after an `ack` more."""
        consumer = pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish_many(topic, [b"1", b"2"], raw=True)
        messages = receive(consumer, 2)
        consumer.ack(messages)
        consumer.ack(messages)

        assert [] == consumer.receive(2, 1.5)
        assert 0 == pubsub.depth(topic)

    def test_extend_starts_the_lease_anew(self, pubsub: PubSub, topic: str) -> None:
        """As often as it is called."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        messages = receive(first, 1)
        extended = []
        for _ in range(4):
            extended += first.extend(messages)
            assert [] == second.receive(1, 0.5)

        assert [True] * 4 == extended

    def test_extend_tells_what_was_lost(self, pubsub: PubSub, topic: str) -> None:
        """In the places of those that another consumer has."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=30, raw=True)
        pubsub.publish(topic, b"lost", raw=True)
        lost = receive(first, 1)
        receive(second, 1)
        pubsub.publish(topic, b"held", raw=True)
        held = receive(first, 1)

        assert [False, True] == first.extend([*lost, *held])

    def test_ack_after_a_lost_lease_is_silent(self, pubsub: PubSub, topic: str) -> None:
        """And takes nothing from the consumer that has the message now."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        lost = receive(first, 1)
        found = receive(second, 1)
        first.ack(lost)
        again = receive(second, 1)

        assert [b"x"] * 3 == bodies(lost + found + again)

    def test_nack_after_a_lost_lease_is_silent(self, pubsub: PubSub, topic: str) -> None:
        """And takes nothing from the consumer that has the message now."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=30, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        lost = receive(first, 1)
        receive(second, 1)
        first.nack(lost)
        first.release(lost)

        assert [] == first.receive(1, 0.5)

    def test_nack_brings_a_message_again_at_once(self, pubsub: PubSub, topic: str) -> None:
        """To any consumer of the group, counted once more."""
        first, second = pubsub.consumer(topic, raw=True), pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        first.nack(receive(first, 1))
        (message,) = receive(second, 1, SOON_S)

        assert 2 == message.delivery_count

    @pytest.mark.parametrize("delay_s", [0.4, 2.0])
    def test_nack_brings_a_message_again_after_its_delay(
        self, pubsub: PubSub, topic: str, delay_s: float
    ) -> None:
        """Whether it is shorter or longer than the lease."""
        consumer = pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        consumer.nack(receive(consumer, 1), delay_s)
        took_s = elapsed_s(lambda: receive(consumer, 1))

        assert delay_s - 0.1 < took_s < delay_s + SOON_S

    def test_release_brings_a_message_again_uncounted(self, pubsub: PubSub, topic: str) -> None:
        """At once, to any consumer of the group."""
        first, second = pubsub.consumer(topic, raw=True), pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        first.release(receive(first, 1))
        (message,) = receive(second, 1, SOON_S)

        assert 1 == message.delivery_count

    def test_every_delivery_counts(self, pubsub: PubSub, topic: str) -> None:
        """One by one."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        counts = []
        for _ in range(4):
            (message,) = receive(consumer, 1)
            counts.append(message.delivery_count)
            consumer.nack([message])

        assert [1, 2, 3, 4] == counts

    def test_close_hands_back_what_is_held(self, pubsub: PubSub, topic: str) -> None:
        """The others need not wait for the lease."""
        first, second = pubsub.consumer(topic, lease=60, raw=True), pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        first.ack(receive(first, 1))
        receive(first, 2)
        first.close()
        first.close()

        assert 2 == len(receive(second, 2, SOON_S))

    def test_close_wakes_a_waiting_receive(self, pubsub: PubSub, topic: str) -> None:
        """It returns nothing; the next one is refused."""
        consumer = pubsub.consumer(topic, raw=True)
        timer = threading.Timer(0.3, consumer.close)
        timer.start()
        took_s = elapsed_s(lambda: consumer.receive(1, 20))
        timer.join()

        assert took_s < 0.3 + SOON_S
        with pytest.raises(ClosedError):
            consumer.receive(1, 0)

    def test_messages_are_settled_from_another_thread(self, pubsub: PubSub, topic: str) -> None:
        """While the receiving one waits."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        messages = receive(consumer, 1)
        timer = threading.Timer(0.2, consumer.ack, [messages])
        timer.start()
        consumer.receive(1, 0.5)
        timer.join()

        assert 0 == pubsub.depth(topic)

    @pytest.mark.parametrize("lease", [0.5, 43_201])
    def test_a_lease_out_of_range_is_refused(self, pubsub: PubSub, topic: str, lease: float) -> None:
        """1 s to 12 h is what every engine holds."""

        with pytest.raises(InvalidArgumentError):
            pubsub.consumer(topic, lease=lease)
