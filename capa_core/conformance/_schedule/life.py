"""Start, fork, stop and end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from capa_core.blocks.schedule import Outcome, Schedule, ScheduleDriver, ScheduleFeature
from capa_core.conformance._processes import in_children
from capa_core.conformance._schedule.suite import YEARS_S, Connect, Suite, begin, ended
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import ClosedError


class LifePromises(Suite):
    """The promises of the life cycle."""

    def test_nothing_is_stored_before_the_start(self, schedule: Schedule) -> None:
        schedule.add("k", print, every=1)

        assert [] == list(schedule.jobs())

    def test_jobs_last_if_declared(self, connect: Connect) -> None:
        with Schedule(connect()) as first:
            begin(first, "k")
            ident = first.trigger("k")
            ended(first, "k", ident)
            lasts = bool(first.features[ScheduleFeature.DURABLE] or first.features[ScheduleFeature.SHARED])
        with Schedule(connect()) as second:
            found = second.get("k")

        assert lasts == (found is not None and [ident] == [run.id for run in found.history])

    def test_a_close_waits_for_runs_and_stores_their_ends(self, connect: Connect) -> None:
        begun = threading.Event()
        schedule = Schedule(connect())

        @schedule.job("k", every=YEARS_S)
        def work(run: Any) -> None:
            begun.set()
            run.stop.wait(60)  # which the close sets

        schedule.start()
        wait_until(lambda: schedule.get("k"))
        ident = schedule.trigger("k")
        assert begun.wait(60)
        schedule.stop()
        assert schedule.join(60)

        assert Outcome.SUCCEEDED == ended(schedule, "k", ident).outcome
        schedule.close()

    def test_a_registration_that_is_closed_leaves_the_job_to_others(self, schedule: Schedule) -> None:
        begin(schedule, "other")
        registration = schedule.add("k", print, every=YEARS_S)
        wait_until(lambda: (job := schedule.get("k")) and job.token)
        registration.close()
        registration.close()
        runs: list[Any] = []
        schedule.add("k", runs.append, every=YEARS_S)
        ended(schedule, "k", schedule.trigger("k"))

        assert 1 == len(runs)

    def test_a_forked_child_leads_after_its_own_start(self, connect: Connect, schedule: Schedule) -> None:
        runs = begin(schedule, "k")

        def child(_: int) -> bool:
            schedule.forget()
            begun = begin(schedule, "new")
            schedule.trigger("new")
            wait_until(lambda: begun)
            return schedule.get("k") is not None

        sees = in_children(1, child)
        ended(schedule, "k", schedule.trigger("k"))

        assert ([True], ["k"]) == (sees, [run.job for run in runs])

    def test_ping_describes_the_engine(self, schedule: Schedule) -> None:
        assert schedule.ping()

    def test_calls_after_close_raise(self, driver: ScheduleDriver[Any]) -> None:
        schedule = Schedule(driver)
        begin(schedule, "k")
        schedule.close()
        schedule.close()

        for call in (
            lambda: schedule.get("k"),
            lambda: list(schedule.jobs()),
            lambda: schedule.trigger("k"),
            lambda: schedule.remove("k"),
            lambda: schedule.add("j", print, every=1),
            schedule.start,
            schedule.ping,
        ):
            with pytest.raises(ClosedError):
                call()
