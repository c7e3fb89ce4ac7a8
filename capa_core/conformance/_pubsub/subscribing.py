"""Handlers: called with each message, which is acknowledged when they return and leased while they run."""

from __future__ import annotations

import asyncio
import math
import threading
import time

from capa_core.blocks.pubsub import Message, PubSub
from capa_core.conformance._pubsub.suite import Suite, elapsed_s, eventually, receive
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S


class SubscribingPromises(Suite):
    """The promises of `subscribe`."""

    def test_a_handler_gets_each_message_once(self, pubsub: PubSub, topic: str) -> None:
        """Messages of handlers that returned are acknowledged."""
        seen: list[object] = []
        pubsub.subscribe(topic, lambda message: seen.append(message.json()))
        pubsub.publish_many(topic, list(range(200)))

        assert eventually(lambda: len(seen) >= 200)
        assert list(range(200)) == sorted(seen)  # type: ignore[type-var]
        assert eventually(lambda: 0 == pubsub.depth(topic))

    def test_a_handler_may_be_async(self, pubsub: PubSub, topic: str) -> None:
        """All async handlers of a subscription share one event loop and run concurrently, up to `concurrency`."""
        together = asyncio.Barrier(3)
        done: list[bytes] = []

        async def handler(message: Message) -> None:
            await together.wait()
            done.append(message.data)

        pubsub.subscribe(topic, handler, concurrency=3)
        pubsub.publish_many(topic, [b"1", b"2", b"3"])

        assert eventually(lambda: [b"1", b"2", b"3"] == sorted(done))

    def test_a_failed_message_is_redelivered(self, pubsub: PubSub, topic: str) -> None:
        """It comes after a delay, until its handler returns."""
        counts: list[int] = []

        def handler(message: Message) -> None:
            counts.append(message.delivery_count)
            if len(counts) < 3:
                raise ValueError("not yet")

        pubsub.subscribe(topic, handler, retry_delay=0.1)
        pubsub.publish(topic, 1)

        assert eventually(lambda: [1, 2, 3] == counts)
        assert eventually(lambda: 0 == pubsub.depth(topic))

    def test_a_handler_may_take_longer_than_the_lease(self, pubsub: PubSub, topic: str) -> None:
        """Its message is delivered once and acknowledged once, although other consumers wait for it."""
        runs: list[str] = []

        def handler(message: Message) -> None:
            runs.append(message.id)
            time.sleep(4.5)

        pubsub.subscribe(topic, handler, lease=2)
        pubsub.subscribe(topic, handler, lease=2)
        ident = pubsub.publish(topic, 1)

        assert eventually(lambda: 0 == pubsub.depth(topic))
        assert [ident] == runs

    def test_messages_behind_a_long_handler_go_to_other_consumers(self, pubsub: PubSub, topic: str) -> None:
        """The subscription does not hold them."""
        started, free = threading.Event(), threading.Event()
        quick: list[Message] = []

        def handler(_: Message) -> None:
            started.set()
            free.wait(2 * PATIENCE_S)

        slow = pubsub.subscribe(topic, handler, lease=3)
        pubsub.publish_many(topic, list(range(5)))
        started.wait(PATIENCE_S)  # else the other one may have all five
        pubsub.subscribe(topic, quick.append, lease=3)
        others = eventually(lambda: len(quick) == 4)
        free.set()
        slow.close()

        assert others
        assert {1} == {message.delivery_count for message in quick}

    def test_handlers_run_concurrently(self, pubsub: PubSub, topic: str) -> None:
        """Up to `concurrency` handlers run at a time."""
        together = threading.Barrier(3, timeout=PATIENCE_S)
        passed: list[int] = []
        pubsub.subscribe(topic, lambda _: passed.append(together.wait()), concurrency=3)
        pubsub.publish_many(topic, [1, 2, 3])

        assert eventually(lambda: [0, 1, 2] == sorted(passed))

    def test_close_lets_a_running_handler_end(self, pubsub: PubSub, topic: str) -> None:
        """Its message is acknowledged, and the others are released."""
        started, done = threading.Event(), []

        def handler(message: Message) -> None:
            started.set()
            time.sleep(0.5)
            done.append(message)

        subscription = pubsub.subscribe(topic, handler)
        pubsub.publish_many(topic, [1, 2, 3])
        started.wait(PATIENCE_S)
        subscription.close()
        subscription.close()

        assert 1 == len(done)
        assert 2 == pubsub.depth(topic)
        assert 2 == len(receive(pubsub.consumer(topic), 2, SLOW_MACHINE_S))

    def test_close_without_draining_does_not_wait(self, pubsub: PubSub, topic: str) -> None:
        """Messages whose handlers still run are released at once."""
        started, free = threading.Event(), threading.Event()

        def handler(_: Message) -> None:
            started.set()
            free.wait(2 * PATIENCE_S)

        subscription = pubsub.subscribe(topic, handler, lease=60)
        pubsub.publish(topic, 1)
        started.wait(PATIENCE_S)
        took_s = elapsed_s(lambda: subscription.close(drain=False))
        back = pubsub.consumer(topic).receive(1, SLOW_MACHINE_S)
        free.set()

        assert took_s < SLOW_MACHINE_S
        assert 1 == len(back)

    def test_a_handler_may_close_its_subscription(self, pubsub: PubSub, topic: str) -> None:
        """Its own message is acknowledged when it returns."""
        seen: list[Message] = []

        def handler(message: Message) -> None:
            seen.append(message)
            subscription.close()

        subscription = pubsub.subscribe(topic, handler, max_messages=1)
        pubsub.publish(topic, 1)

        assert eventually(lambda: 1 == len(seen) and 0 == pubsub.depth(topic))

    def test_a_message_that_its_handler_fails_becomes_a_dead_letter(self, pubsub: PubSub, topic: str) -> None:
        """It does so after `max_deliveries` failures."""
        pubsub.subscribe(topic, lambda _: 1 / 0, retry_delay=0.05, max_deliveries=2)
        pubsub.publish(topic, {"poison": True})
        dead = receive(pubsub.consumer(f"{topic}.dead"), 1)

        assert [{"poison": True}] == [message.json() for message in dead]
        assert eventually(lambda: 0 == pubsub.depth(topic))

    def test_a_full_broadcast_consumer_is_not_taken_for_dead(self, pubsub: PubSub, topic: str) -> None:
        """It does not receive while its handler runs, and its lease is long."""
        full, free, heard = threading.Event(), threading.Event(), list[str]()
        pubsub.consumer(topic)

        def handler(message: Message) -> None:
            full.set()
            free.wait(60)
            heard.append(message.text)

        busy = pubsub.subscribe(topic, handler, broadcast=True, max_messages=1, lease=3600)
        silence_s = pubsub.consumer(topic, broadcast=True).silence_s
        pubsub.publish(topic, "1")
        assert eventually(full.is_set)  # or "2", which has no order with "1", could be received before it
        if silence_s != math.inf:
            time.sleep(silence_s + 1)
        pubsub.consumer(topic, broadcast=True).close()  # joining drops the groups of the dead
        pubsub.publish(topic, "2")
        free.set()

        assert eventually(lambda: ["1", "2"] == heard)
        busy.close()

    def test_an_idle_intake_is_not_taken_for_dead(self, pubsub: PubSub, topic: str) -> None:
        """It does not receive, but it has a holder."""
        pubsub.consumer(topic)
        idle = pubsub.intake(topic, broadcast=True)
        silence_s = pubsub.consumer(topic, broadcast=True).silence_s
        if silence_s != math.inf:
            time.sleep(silence_s + 1)
        pubsub.consumer(topic, broadcast=True).close()
        pubsub.publish(topic, "1")

        assert ["1"] == [message.text for message in idle.receive()]

    def test_a_broadcast_reaches_every_subscription(self, pubsub: PubSub, topic: str) -> None:
        """Each has a group of its own."""
        heard: list[str] = []
        subscriptions = [
            pubsub.subscribe(topic, lambda message: heard.append(message.text), broadcast=True)
            for _ in range(2)
        ]
        pubsub.publish(topic, "x")

        assert eventually(lambda: ["x", "x"] == heard)
        assert 2 == len({subscription.group for subscription in subscriptions})
