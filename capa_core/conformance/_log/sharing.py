"""Several drivers and processes on one log."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.queues import Queue
from typing import Any

import pytest
from pydantic import BaseModel

from capa_core.blocks.log import Log, LogDriver, LogFeature
from capa_core.conformance._log.suite import Suite, needs, poll, values
from capa_core.conformance._tolerance import is_prompt, woken_s

MANY = 600
_SPAWN = multiprocessing.get_context("spawn")


class SharingPromises(Suite):
    """The promises of the abilities SHARED and DURABLE."""

    def test_records_and_positions_survive_a_restart_if_declared(
        self, driver: LogDriver[Any], log: Log, topic: str
    ) -> None:
        """A new driver with the same settings finds record and position if, and only if, they are durable."""
        durable = bool(driver.features[LogFeature.DURABLE])
        place = log.append(topic, b"x", partition=0)
        consumer = log.consumer(topic)
        consumer.commit(poll(consumer, 1))
        log.close()
        anew = Log(type(driver)(driver.settings))
        found = anew.bounds(topic).get(place.partition), anew.committed(topic).get(place.partition)
        anew.close()

        expected = ((place.offset, place.offset + 1), place.offset + 1) if durable else (None, None)
        assert expected == found

    def test_a_record_from_another_process_wakes_a_consumer(
        self, driver: LogDriver[Any], log: Log, topic: str
    ) -> None:
        """Another driver with the same settings stands for the process."""
        needs(driver, LogFeature.SHARED)
        other = Log(type(driver)(driver.settings))
        consumer = log.consumer(topic)
        consumer.poll(1, 0)
        woken = is_prompt(lambda: woken_s(lambda: poll(consumer, 1), lambda: other.append(topic, b"x")))
        other.close()

        assert woken

    @pytest.mark.timeout(120)
    def test_processes_share_a_group(self, driver: LogDriver[Any], log: Log, topic: str) -> None:
        """Of many records none is lost, and none comes twice."""
        needs(driver, LogFeature.SHARED)
        log.consumer(topic).close()
        outcome: Queue[list[bytes]] = _SPAWN.Queue()
        processes = [
            _SPAWN.Process(target=_drain_elsewhere, args=(type(driver), driver.settings, topic, outcome))
            for _ in range(2)
        ]
        for process in processes:
            process.start()
        ready = [outcome.get(timeout=60) for _ in processes]
        expected = [b"%d" % number for number in range(MANY)]
        for start in range(0, MANY, 50):
            log.append_many(topic, expected[start : start + 50])
        parts = [outcome.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()

        assert [[], []] == ready
        assert sorted(expected) == sorted(value for part in parts for value in part)

    @pytest.mark.timeout(120)
    def test_the_partitions_of_a_killed_process_move(
        self, driver: LogDriver[Any], log: Log, topic: str
    ) -> None:
        """They move after its session, with all records that it had not committed."""
        needs(driver, LogFeature.SHARED)
        log.append_many(topic, [b"1", b"2", b"3"])
        outcome: Queue[int] = _SPAWN.Queue()
        process = _SPAWN.Process(
            target=_hold_elsewhere, args=(type(driver), driver.settings, topic, outcome), daemon=True
        )
        process.start()
        held = outcome.get(timeout=30)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        consumer = log.consumer(topic, session=2)

        assert 3 == held
        assert {b"1", b"2", b"3"} == set(values(poll(consumer, 3)))


def _drain_elsewhere(
    driver_type: type[LogDriver[Any]], settings: BaseModel, topic: str, outcome: Queue[list[bytes]]
) -> None:
    with Log(driver_type(settings)) as log:
        consumer = log.consumer(topic)
        outcome.put([])
        received: list[bytes] = []
        while batch := consumer.poll(20, 2.0):
            consumer.commit(batch)
            received += values(batch)
        outcome.put(received)


def _hold_elsewhere(
    driver_type: type[LogDriver[Any]], settings: BaseModel, topic: str, outcome: Queue[int]
) -> None:
    log = Log(driver_type(settings))
    consumer = log.consumer(topic, session=2)
    outcome.put(len(poll(consumer, 3)))
    time.sleep(60)
