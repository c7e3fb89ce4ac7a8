"""Distribution of messages: groups, competing consumers, broadcast, several processes."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.queues import Queue
from typing import Any

import pytest
from pydantic import BaseModel

from capa_core.blocks.pubsub import Consumer, PubSub, PubSubFeature
from capa_core.blocks.pubsub.driver import PubSubDriver
from capa_core.conformance._pubsub.suite import Suite, bodies, drain, eventually, receive, take
from capa_core.conformance._tolerance import PATIENCE_S, is_prompt, woken_s

MANY = 2_000
_SPAWN = multiprocessing.get_context("spawn")


class GroupPromises(Suite):
    """The promises of `group`, `broadcast`, and drivers in several processes."""

    def test_each_group_sees_each_message(self, pubsub: PubSub, topic: str) -> None:
        """An `ack` in one group does not affect the others."""
        groups = [pubsub.consumer(topic, f"group {number} ü", raw=True) for number in range(3)]
        pubsub.publish_many(topic, [b"1", b"2"], raw=True)

        assert [[b"1", b"2"]] * 3 == [sorted(bodies(drain(group, 2))) for group in groups]
        assert [0, 0, 0] == [pubsub.depth(topic, f"group {number} ü") for number in range(3)]

    def test_a_later_group_receives_later_messages(self, pubsub: PubSub, topic: str) -> None:
        """It does not receive messages that were published to the other groups before."""
        first = pubsub.consumer(topic, "first", raw=True)
        pubsub.publish(topic, b"before", raw=True)
        second = pubsub.consumer(topic, "second", raw=True)
        pubsub.publish(topic, b"after", raw=True)

        assert [b"after"] == bodies(drain(second))
        assert [b"after", b"before"] == sorted(bodies(drain(first, 2)))

    def test_groups_settle_independently(self, pubsub: PubSub, topic: str) -> None:
        """A slow group still receives a message that another has acknowledged."""
        fast, slow = pubsub.consumer(topic, "fast", raw=True), pubsub.consumer(topic, "slow", raw=True)
        pubsub.publish_many(topic, [b"%d" % number for number in range(20)], raw=True)
        drain(fast, 20)
        held = receive(slow, 5)
        slow.nack(held)
        depths = pubsub.depth(topic, "fast"), pubsub.depth(topic, "slow")

        assert (0, 20) == depths
        assert 20 == len(drain(slow, 20))
        assert 0 == pubsub.depth(topic, "slow")

    def test_a_group_outlives_its_consumers(self, pubsub: PubSub, topic: str) -> None:
        """Messages that are published meanwhile wait."""
        pubsub.consumer(topic, raw=True).close()
        pubsub.publish(topic, b"meanwhile", raw=True)

        assert [b"meanwhile"] == bodies(drain(pubsub.consumer(topic, raw=True)))

    def test_of_many_messages_none_is_lost_and_none_comes_twice(self, pubsub: PubSub, topic: str) -> None:
        """Four consumers of one group compete for them."""
        expected = [b"%d" % number for number in range(MANY)]
        consumers = [pubsub.consumer(topic, raw=True) for _ in range(4)]
        received: list[bytes] = []
        end = time.monotonic() + 2 * PATIENCE_S

        def work(number: int) -> None:
            while len(received) < MANY and time.monotonic() < end:
                received.extend(bodies(drain(consumers[number], 0, quiet_s=0.1)))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for start in range(0, MANY, 100):
            pubsub.publish_many(topic, expected[start : start + 100], raw=True)
        for thread in threads:
            thread.join()

        assert sorted(expected) == sorted(received)
        assert 0 == pubsub.depth(topic)

    def test_a_broadcast_reaches_every_consumer(self, pubsub: PubSub, topic: str) -> None:
        """Each has a group of its own, which does not affect the others."""
        workers = pubsub.consumer(topic, raw=True)
        listeners = [pubsub.consumer(topic, broadcast=True, raw=True) for _ in range(3)]
        pubsub.publish(topic, b"x", raw=True)

        assert [[b"x"]] * 4 == [bodies(drain(one)) for one in (*listeners, workers)]

    def test_a_broadcast_takes_nothing_from_the_first_group(self, pubsub: PubSub, topic: str) -> None:
        """Messages that wait for the first group go on waiting."""
        if not pubsub.features[PubSubFeature.BROADCAST].by_driver:
            pytest.skip("to the engine it is a group like any other, and may be the first")
        pubsub.publish(topic, b"kept", raw=True)
        listener = pubsub.consumer(topic, broadcast=True, raw=True)
        heard = listener.receive(1, 0.2)
        listener.close()

        assert [] == heard
        assert [b"kept"] == bodies(drain(pubsub.consumer(topic, raw=True)))

    def test_the_group_of_a_closed_broadcast_consumer_is_dropped(self, pubsub: PubSub, topic: str) -> None:
        """Nothing is stored for it any more."""
        if not pubsub.features[PubSubFeature.BROADCAST].by_driver:
            pytest.skip("the engine drops unused groups in its own time")
        pubsub.consumer(topic, raw=True)
        listener = pubsub.consumer(topic, broadcast=True, raw=True)
        listener.close()
        pubsub.publish(topic, b"x", raw=True)

        assert 0 == pubsub.depth(topic, listener.group)

    def test_a_consumer_taken_for_dead_sees_no_message_of_another(self, pubsub: PubSub, topic: str) -> None:
        """Its next `receive` joins again and returns messages that are published from then on."""
        pubsub.consumer(topic, raw=True)
        silent = self._taken_for_dead(pubsub, topic)
        other = pubsub.consumer(topic, broadcast=True, raw=True)
        pubsub.publish(topic, b"1", raw=True)
        seen = silent.receive(1, 0.2)
        pubsub.publish(topic, b"2", raw=True)

        assert [] == seen
        assert [b"2"] == bodies(drain(silent))
        assert [b"1", b"2"] == bodies(drain(other, 2))

    def test_a_consumer_taken_for_dead_settles_no_message_of_another(
        self, pubsub: PubSub, topic: str
    ) -> None:
        """It has lost its own messages: `extend` returns so; `ack`, `nack`, `release` and `close` do nothing."""
        pubsub.consumer(topic, raw=True)
        silent = pubsub.consumer(topic, broadcast=True, raw=True)
        pubsub.publish_many(topic, [b"lost"] * 3, raw=True)
        lost = receive(silent, 3)
        self._taken_for_dead(pubsub, topic, silent)
        other = pubsub.consumer(topic, broadcast=True, raw=True)
        pubsub.publish(topic, b"1", raw=True)
        held = receive(other, 1)
        extended = silent.extend(lost)
        for settle in (silent.ack, silent.nack, silent.release):
            settle(lost)
        silent.close()
        pubsub.publish(topic, b"2", raw=True)

        assert [False] * 3 == extended
        assert [True] == other.extend(held)
        assert [b"2"] == bodies(drain(other))

    def test_a_consumer_knows_how_long_it_may_be_silent(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str
    ) -> None:
        """Every layer passes on the time that the driver states; otherwise leases would be renewed too late."""
        if not driver.features[PubSubFeature.BROADCAST].by_driver:
            pytest.skip("to the engine it is a group like any other")
        bare = driver.consume(topic, "its own", lease_s=30, temporary=True)
        whole = pubsub.consumer(topic, broadcast=True)
        bare.close()

        assert bare.silence_s == whole.silence_s
        assert math.inf == pubsub.consumer(topic).silence_s

    def _taken_for_dead(self, pubsub: PubSub, topic: str, silent: Consumer | None = None) -> Consumer:
        """Return a broadcast consumer that was silent until its group went away."""
        silent = silent or pubsub.consumer(topic, broadcast=True, raw=True)
        if silent.silence_s == math.inf:
            pytest.skip("takes no consumer of this process for dead")
        assert eventually(lambda: self._is_forgotten(pubsub, topic, silent.group), silent.silence_s + 10)
        return silent

    def test_a_consumer_that_has_left_settles_no_message_of_another(self, pubsub: PubSub, topic: str) -> None:
        """It has lost its own messages, and the messages of the next consumer are not affected."""
        pubsub.consumer(topic, raw=True)
        left = pubsub.consumer(topic, broadcast=True, raw=True)
        pubsub.publish(topic, b"1", raw=True)
        lost = receive(left, 1)
        left.close()
        other = pubsub.consumer(topic, broadcast=True, raw=True)
        pubsub.publish(topic, b"2", raw=True)
        held = receive(other, 1)
        for settle in (left.ack, left.nack, left.release):
            settle(lost)

        assert [True] == other.extend(held)
        assert [] == other.receive(1, 0.2)

    def test_messages_survive_a_restart_if_declared(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str
    ) -> None:
        """A new driver with the same settings finds them if, and only if, they are durable."""
        durable = driver.features[PubSubFeature.DURABLE].by_driver
        pubsub.publish(topic, b"x", raw=True)
        pubsub.close()
        anew = PubSub(type(driver)(driver.settings))
        found = bodies(receive(anew.consumer(topic, raw=True), 1, PATIENCE_S if durable else 0.5))
        anew.close()

        assert ([b"x"] if durable else []) == found

    @pytest.mark.timeout(120)
    def test_processes_compete_within_a_group(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str
    ) -> None:
        """Three processes receive many messages: none is lost, and none comes twice."""
        if not driver.features[PubSubFeature.SHARED]:
            pytest.skip("its messages live in one process")
        pubsub.consumer(topic, raw=True)
        outcome: Queue[list[bytes]] = _SPAWN.Queue()
        processes = [
            _SPAWN.Process(target=_drain_elsewhere, args=(type(driver), driver.settings, topic, outcome))
            for _ in range(3)
        ]
        for process in processes:
            process.start()
        ready = [outcome.get(timeout=60) for _ in processes]
        expected = [b"%d" % number for number in range(MANY)]
        for start in range(0, MANY, 50):
            pubsub.publish_many(topic, expected[start : start + 50], raw=True)
        parts = [outcome.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()

        assert sorted(expected) == sorted(body for part in ready + parts for body in part)

    @pytest.mark.timeout(120)
    def test_the_messages_of_a_killed_process_come_back(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str
    ) -> None:
        """They come within the lease, and the broadcast group of the process is dropped."""
        if not driver.features[PubSubFeature.SHARED]:
            pytest.skip("its messages live in one process")
        consumer = pubsub.consumer(topic, raw=True, lease=2)
        pubsub.publish_many(topic, [b"1", b"2", b"3"], raw=True)
        outcome: Queue[str] = _SPAWN.Queue()
        process = _SPAWN.Process(
            target=_hold_elsewhere, args=(type(driver), driver.settings, topic, outcome), daemon=True
        )
        process.start()
        group = outcome.get(timeout=30)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        back = receive(consumer, 3, 2 + 2)

        assert {b"1", b"2", b"3"} == set(bodies(back))
        if driver.features[PubSubFeature.BROADCAST].by_driver:
            assert eventually(lambda: self._is_forgotten(pubsub, topic, group), 30)

    def _is_forgotten(self, pubsub: PubSub, topic: str, group: str) -> bool:
        """Publish, and return whether nothing is stored for *group*."""
        pubsub.publish(topic, b"x", raw=True)
        pubsub.consumer(topic, raw=True).close()
        return pubsub.depth(topic, group) == 0

    def test_a_message_from_another_process_wakes_a_consumer(
        self, driver: PubSubDriver[Any], pubsub: PubSub, topic: str
    ) -> None:
        """Another driver with the same settings stands for the process."""
        if not driver.features[PubSubFeature.SHARED]:
            pytest.skip("its messages live in one process")
        other = PubSub(type(driver)(driver.settings))
        consumer = pubsub.consumer(topic, raw=True)
        woken = is_prompt(
            lambda: woken_s(lambda: take(consumer), lambda: other.publish(topic, b"x", raw=True))
        )
        other.close()

        assert woken


def _drain_elsewhere(
    driver_type: type[PubSubDriver[Any]], settings: BaseModel, topic: str, outcome: Queue[list[bytes]]
) -> None:
    pubsub = PubSub(driver_type(settings))
    consumer = pubsub.consumer(topic, raw=True)
    outcome.put([])
    outcome.put(bodies(drain(consumer, 0, quiet_s=2.0)))
    pubsub.close()


def _hold_elsewhere(
    driver_type: type[PubSubDriver[Any]], settings: BaseModel, topic: str, outcome: Queue[str]
) -> None:
    pubsub = PubSub(driver_type(settings))
    listener = pubsub.consumer(topic, broadcast=True)
    consumer = pubsub.consumer(topic, raw=True, lease=2)
    receive(consumer, 3)
    outcome.put(listener.group)
    threading.Event().wait(60)
