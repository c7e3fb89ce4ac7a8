"""The fixtures of the suite, and what its tests share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from capa_core.blocks.schedule import Outcome, Run, RunStatus, Schedule, ScheduleDriver
from capa_core.conformance._tolerance import wait_until

LEASE_S = 30.0
SHORT_S = 2.0
"""A lease that ends during a test."""
ODD_NAMES = ["a b", "A", "é", "e\u0301", "🔑" * 200, "a\x00b", "%7B{}*[x]?\\", "'\"\n", "../job/x"]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
YEARS_S = 3e8
"""An interval whose next time never comes in a test."""


class Connect(Protocol):
    """A function that opens a driver on one set of jobs, empty before the test; each call opens another on it."""

    def __call__(self, *, lease_s: float = LEASE_S) -> ScheduleDriver[Any]:
        """Return a driver whose leaders have this lease."""
        ...


class Suite(ABC):
    """The fixtures; a subclass overrides `connect`."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a `Connect`."""

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[ScheduleDriver[Any]]:
        """Yield a driver."""
        driver = connect()
        yield driver
        driver.close()

    @pytest.fixture
    def schedule(self, driver: ScheduleDriver[Any]) -> Iterator[Schedule]:
        """Yield the portable type over the driver."""
        with Schedule(driver, name="conformance") as schedule:
            yield schedule


def begin(schedule: Schedule, *names: str, **options: Any) -> list[Run]:
    """Start *schedule* with jobs that only run when requested, wait until all are led, and return the list of runs."""
    runs: list[Run] = []
    for name in names:
        schedule.add(name, runs.append, every=YEARS_S, **options)
    schedule.start()
    wait_until(lambda: all((job := schedule.get(name)) and job.token for name in names))
    return runs


def ended(schedule: Schedule, name: str, ident: str) -> RunStatus:
    """Wait until a run has ended, and return it."""
    found: list[RunStatus] = []

    def has_ended() -> bool:
        found[:] = [run for run in schedule.history(name) if run.id == ident]
        return bool(found) and found[0].outcome != Outcome.RUNNING

    wait_until(has_ended)
    return found[0]
