"""Leases of received messages: acknowledged, rejected, released, extended, or lost to another consumer."""

from __future__ import annotations

import threading
import time

import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.conformance._pubsub.suite import Suite, bodies, elapsed_s, receive
from capa_core.conformance._tolerance import PROMPT_S, SLOW_MACHINE_S, is_prompt
from capa_core.errors import ClosedError, InvalidArgumentError


class LeasePromises(Suite):
    """The promises of `receive`, `ack`, `nack`, `release`, `extend` and `close`."""

    def test_receive_returns_available_messages_at_once(self, pubsub: PubSub, topic: str) -> None:
        """It does not wait until the batch is full."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)

        assert elapsed_s(lambda: consumer.receive(100, 20)) < SLOW_MACHINE_S

    def test_receive_returns_nothing_after_its_timeout(self, pubsub: PubSub, topic: str) -> None:
        """It returns neither much earlier nor much later."""
        consumer = pubsub.consumer(topic, raw=True)

        assert 0.25 < elapsed_s(lambda: consumer.receive(1, 0.3))
        assert is_prompt(lambda: elapsed_s(lambda: consumer.receive(1, 0.3)), 0.3 + PROMPT_S)
        assert is_prompt(lambda: elapsed_s(lambda: consumer.receive(1, 0)))

    def test_receive_returns_no_more_than_asked(self, pubsub: PubSub, topic: str) -> None:
        """The next call returns the others."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, [b"x"] * 5, raw=True)

        assert len(consumer.receive(2, 20)) <= 2
        assert len(consumer.receive(1, 20)) == 1

    def test_a_leased_message_is_hidden_from_other_consumers(self, pubsub: PubSub, topic: str) -> None:
        """It is hidden until the lease ends."""
        first, second = pubsub.consumer(topic, lease=30), pubsub.consumer(topic, lease=30)
        pubsub.publish(topic, 1)
        receive(first, 1)

        assert [] == second.receive(1, 0.3)

    def test_a_message_comes_back_after_its_lease(self, pubsub: PubSub, topic: str) -> None:
        """Any consumer may receive it, within two seconds; one more delivery is counted."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=60, raw=True)

        def comes_back_s() -> float:
            pubsub.publish(topic, b"x", raw=True)
            asked = time.monotonic()
            (lost,) = receive(first, 1)
            leased = time.monotonic()
            (found,) = receive(second, 1)
            back = time.monotonic()
            second.ack([found])

            # On a slow machine, the lease may have ended before the first of them came.
            assert (lost.id, lost.delivery_count + 1) == (found.id, found.delivery_count)
            assert 0.7 < back - asked
            return back - leased

        assert is_prompt(comes_back_s, 1 + 2)

    def test_all_messages_of_a_lost_consumer_come_back_together(self, pubsub: PubSub, topic: str) -> None:
        """It held many, and the other one asks for few at a time."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish_many(topic, [b"x"] * 40, raw=True)
        receive(first, 40)
        second.ack(receive(second, 2))
        start = time.monotonic()
        for _ in range(19):
            second.ack(receive(second, 2))

        assert time.monotonic() - start < SLOW_MACHINE_S

    def test_each_consumer_has_its_own_lease(self, pubsub: PubSub, topic: str) -> None:
        """A short lease of one consumer does not shorten the long lease of another."""
        long, short = pubsub.consumer(topic, lease=60, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        receive(long, 1)

        assert [] == short.receive(1, 2.5)

    def test_an_acknowledged_message_is_gone(self, pubsub: PubSub, topic: str) -> None:
        """It does not come back after its lease, and a second `ack` does nothing."""
        consumer = pubsub.consumer(topic, lease=2, raw=True)
        pubsub.publish_many(topic, [b"1", b"2"], raw=True)
        messages = receive(consumer, 2)
        consumer.ack(messages)
        consumer.ack(messages)

        assert [] == consumer.receive(2, 2.5)
        assert 0 == pubsub.depth(topic)

    def test_extend_starts_the_lease_anew(self, pubsub: PubSub, topic: str) -> None:
        """It does so with each call."""
        first, second = pubsub.consumer(topic, lease=2, raw=True), pubsub.consumer(topic, lease=2, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        messages = receive(first, 1)
        extended = []
        for _ in range(3):
            extended += first.extend(messages)
            assert [] == second.receive(1, 0.8)

        assert [True] * 3 == extended

    def test_extend_returns_which_leases_are_lost(self, pubsub: PubSub, topic: str) -> None:
        """The result is false in the places of messages that another consumer has.

        Many messages are published at the end: a log has some wait for the other consumer, for its lease at most.
        """
        first, second = pubsub.consumer(topic, lease=2, raw=True), pubsub.consumer(topic, lease=5, raw=True)
        pubsub.publish(topic, b"lost", raw=True)
        lost = receive(first, 1)
        receive(second, 1)
        pubsub.publish_many(topic, [b"held"] * 40, raw=True)
        held = receive(first, 1)

        assert [False, True] == first.extend([*lost, *held])

    def test_ack_after_a_lost_lease_does_nothing(self, pubsub: PubSub, topic: str) -> None:
        """The consumer that has the message now keeps it."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=1, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        lost = receive(first, 1)
        found = receive(second, 1)
        first.ack(lost)
        again = receive(second, 1)

        assert [b"x"] * 3 == bodies(lost + found + again)

    def test_nack_after_a_lost_lease_does_nothing(self, pubsub: PubSub, topic: str) -> None:
        """The consumer that has the message now keeps it."""
        first, second = pubsub.consumer(topic, lease=1, raw=True), pubsub.consumer(topic, lease=30, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        lost = receive(first, 1)
        receive(second, 1)
        first.nack(lost)
        first.release(lost)

        assert [] == first.receive(1, 0.5)

    def test_a_receipt_is_of_one_delivery(self, pubsub: PubSub, topic: str) -> None:
        """A consumer that gets its own lost message again keeps it, whatever it does with the first delivery."""
        consumer = pubsub.consumer(topic, lease=2, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        first = receive(consumer, 1)
        second = receive(consumer, 1)
        extended = consumer.extend([*first, *second])
        consumer.nack(first)
        consumer.release(first)
        consumer.ack(first)

        assert ([False, True], [True]) == (extended, consumer.extend(second))

    def test_nack_redelivers_a_message_at_once(self, pubsub: PubSub, topic: str) -> None:
        """Any consumer of the group may receive it; one more delivery is counted."""
        first, second = pubsub.consumer(topic, raw=True), pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        first.nack(receive(first, 1))
        (message,) = receive(second, 1, SLOW_MACHINE_S)

        assert 2 == message.delivery_count

    @pytest.mark.parametrize("delay_s", [0.4, 2.0])
    def test_nack_redelivers_a_message_after_its_delay(
        self, pubsub: PubSub, topic: str, delay_s: float
    ) -> None:
        """The delay may be shorter or longer than the lease."""
        consumer = pubsub.consumer(topic, lease=1.5, raw=True)

        def comes_back_s() -> float:
            pubsub.publish(topic, b"x", raw=True)
            messages = receive(consumer, 1)
            start = time.monotonic()
            consumer.nack(messages, delay_s)
            again = receive(consumer, 1)
            took_s = time.monotonic() - start
            consumer.ack(again)

            assert delay_s - 0.1 < took_s
            return took_s

        assert is_prompt(comes_back_s, delay_s + PROMPT_S)

    def test_release_redelivers_a_message_without_counting(self, pubsub: PubSub, topic: str) -> None:
        """Any consumer of the group may receive it at once."""
        first, second = pubsub.consumer(topic, raw=True), pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        first.release(receive(first, 1))
        (message,) = receive(second, 1, self.handed_over_within_s)

        assert 1 == message.delivery_count

    def test_every_delivery_counts(self, pubsub: PubSub, topic: str) -> None:
        """The count grows by one with each delivery."""
        consumer = pubsub.consumer(topic, raw=True)
        pubsub.publish(topic, b"x", raw=True)
        counts = []
        for _ in range(4):
            (message,) = receive(consumer, 1)
            counts.append(message.delivery_count)
            consumer.nack([message])

        assert [1, 2, 3, 4] == counts

    def test_close_releases_leased_messages(self, pubsub: PubSub, topic: str) -> None:
        """Other consumers need not wait until the lease ends."""
        first, second = pubsub.consumer(topic, lease=60, raw=True), pubsub.consumer(topic, raw=True)
        pubsub.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        first.ack(receive(first, 1))
        receive(first, 2)
        first.close()
        first.close()

        assert 2 == len(receive(second, 2, SLOW_MACHINE_S))

    def test_close_wakes_a_waiting_receive(self, pubsub: PubSub, topic: str) -> None:
        """The waiting call returns no messages; the next one is refused."""
        consumer = pubsub.consumer(topic, raw=True)
        timer = threading.Timer(0.3, consumer.close)
        timer.start()
        took_s = elapsed_s(lambda: consumer.receive(1, 20))
        timer.join()

        assert took_s < 0.3 + SLOW_MACHINE_S
        with pytest.raises(ClosedError):
            consumer.receive(1, 0)

    def test_messages_are_settled_from_another_thread(self, pubsub: PubSub, topic: str) -> None:
        """The receiving thread may wait meanwhile."""
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
        """Every engine accepts a lease of 1 s to 12 h."""

        with pytest.raises(InvalidArgumentError):
            pubsub.consumer(topic, lease=lease)
