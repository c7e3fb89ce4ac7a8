"""Pools: their bounds, their status, and what a caller learns who gets no connection."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import exc

from capa_core.blocks.database import Database
from capa_core.call.deadline import within
from capa_core.conformance._database.suite import Connect, Suite
from capa_core.conformance._tolerance import SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError


class PoolPromises(Suite):
    """The promises of the pools of connections."""

    def test_a_pool_without_a_free_connection_says_so_in_time(self, connect: Connect) -> None:
        with Database(connect(pool_size=1, max_overflow=1, timeout_s=2)) as database:
            held = [database.reading_engine.connect() for _ in range(2)]
            began = time.monotonic()
            with pytest.raises(DeadlineError, match="all 2 connections were in use") as raised:
                database.query("SELECT 1")
            took_s = time.monotonic() - began
            for connection in held:
                connection.close()

            error: object = raised.value
            assert isinstance(error, exc.TimeoutError)
            assert took_s < 2 + SLOW_MACHINE_S
            assert 1 == len(database.query("SELECT 1"))

    def test_the_wait_for_a_connection_ends_with_the_time_of_the_caller(self, connect: Connect) -> None:
        with Database(connect(pool_size=1, max_overflow=0, timeout_s=60)) as database:
            with database.reading_engine.connect():
                began = time.monotonic()
                with within(0.2), pytest.raises(DeadlineError, match="in use"):
                    database.query("SELECT 1")

            assert time.monotonic() - began < 1 + SLOW_MACHINE_S

    def test_a_pool_is_inspected(self, connect: Connect) -> None:
        with Database(connect(pool_size=1, max_overflow=1, timeout_s=60)) as database:
            assert [] == list(database.inspect())
            engine = database.engine
            first, second = engine.raw_connection(), engine.raw_connection()
            waiting = threading.Thread(target=lambda: engine.raw_connection().close())
            waiting.start()
            wait_until(lambda: database.inspect()[0].waiting)
            (full,) = database.inspect()
            summary = database.summary()
            second.close()
            waiting.join()
            first.close()
            (idle,) = database.inspect()

        assert (1, 1, 2, 0, 1) == (full.size, full.overflow, full.in_use, full.idle, full.waiting)
        assert "2 connections in use" == summary
        assert (0, 0, 1, 0) == (idle.overflow, idle.in_use, idle.idle, idle.waiting)

    def test_limits_tell_the_most_connections(self, connect: Connect) -> None:
        with Database(connect(pool_size=2, max_overflow=3)) as database:
            assert 5 == database.limits.max_connections

    def test_threads_share_the_pool(self, connect: Connect) -> None:
        with Database(connect(pool_size=2, max_overflow=0, timeout_s=60)) as database:
            found: list[int] = []

            def work() -> None:
                found.extend(database.query("SELECT 1 AS x")[0]["x"] for _ in range(20))

            threads = [threading.Thread(target=work) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert [1] * 120 == found
