"""Leaders: one at a time, followed by another after its death or pause."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest

from capa_core.blocks.schedule import Outcome, Run, Schedule, ScheduleDriver, ScheduleFeature
from capa_core.conformance._processes import Child, in_children
from capa_core.conformance._schedule.suite import SHORT_S, YEARS_S, Connect, Suite, begin, ended
from capa_core.conformance._tolerance import SLOW_MACHINE_S, wait_until


class LeadingPromises(Suite):
    """The promises of leaders."""

    def test_a_run_begins_in_one_process_if_they_share(self, connect: Connect, schedule: Schedule) -> None:
        _needs_shared(schedule)

        def work(_: int) -> list[str]:
            runs: list[Run] = []
            with Schedule(connect()) as mine:
                mine.add("k", runs.append, every=0.2)
                mine.start()
                wait_until(lambda: len(mine.history("k") if mine.get("k") else ()) >= 8)
            return [run.scheduled_at.isoformat() for run in runs]

        begun = [at for times in in_children(3, work) for at in times]

        assert len(begun) >= 8
        assert len(set(begun)) == len(begun)

    def test_another_process_leads_after_a_kill_and_the_run_counts_as_lost(self, connect: Connect) -> None:
        with Schedule(connect(lease_s=SHORT_S)) as schedule:
            _needs_shared(schedule)
            child = Child(lambda: _lead_for_ever(connect))
            wait_until(lambda: (job := schedule.get("k")) and job.running)
            (lost,) = schedule.history("k")
            os.kill(child.pid, signal.SIGKILL)
            killed = time.monotonic()
            os.waitpid(child.pid, 0)
            runs = begin(schedule, "k")
            wait_until(lambda: not _job(schedule).running)
            took_s = time.monotonic() - killed
            schedule.trigger("k")
            wait_until(lambda: runs)
            status = ended(schedule, "k", lost.id)

        assert took_s < SHORT_S + 2 + SLOW_MACHINE_S
        assert (Outcome.LOST, lost.token) == (status.outcome, status.token)
        assert lost.token < runs[0].token

    def test_a_lost_run_is_made_up_for_once_if_so_defined(self, connect: Connect) -> None:
        with Schedule(connect(lease_s=SHORT_S)) as schedule:
            _needs_shared(schedule)
            child = Child(lambda: _lead_for_ever(connect))
            wait_until(lambda: (job := schedule.get("k")) and job.running)
            (lost,) = schedule.history("k")
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            runs: list[Run] = []
            schedule.add("k", runs.append, every=YEARS_S, recover=True)
            schedule.start()
            wait_until(lambda: runs)
            ended(schedule, "k", runs[0].id)
            outcomes = [run.outcome for run in schedule.history("k")]

        assert (lost.id, lost.scheduled_at) == (runs[0].recovers, runs[0].scheduled_at)
        assert [Outcome.SUCCEEDED, Outcome.LOST] == outcomes

    def test_a_leader_that_another_has_followed_begins_no_run(
        self, driver: ScheduleDriver[Any], schedule: Schedule
    ) -> None:
        """As one that was paused past its lease, and that does not know yet that it is lost."""
        runs = begin(schedule, "k", "other")
        (stored,) = driver.read(["k"])
        assert stored is not None
        followed = replace(stored.job, leader="another", token=stored.job.token + 1_000)
        assert driver.write(followed, stored.version)
        schedule.trigger("k")
        ended(schedule, "other", schedule.trigger("other"))
        (stored,) = driver.read(["k"])

        assert ["other"] == [run.job for run in runs]
        assert stored is not None
        assert (followed.token, 1) == (stored.job.token, len(stored.job.requested))

    def test_another_process_sees_the_jobs_if_declared(self, connect: Connect, schedule: Schedule) -> None:
        begin(schedule, "k")

        def look(_: int) -> bool:
            with Schedule(connect()) as mine:
                return mine.get("k") is not None

        assert [bool(schedule.features[ScheduleFeature.SHARED])] == in_children(1, look)

    def test_a_closed_leader_is_followed_at_once(self, connect: Connect, schedule: Schedule) -> None:
        _needs_shared(schedule)
        with Schedule(connect()) as first:
            begin(first, "k")
        runs = begin(schedule, "k")
        schedule.trigger("k")
        wait_until(lambda: runs)

    def test_a_request_of_another_process_is_seen(self, connect: Connect, schedule: Schedule) -> None:
        _needs_shared(schedule)
        runs = begin(schedule, "k")

        def ask(_: int) -> str:
            with Schedule(connect()) as mine:
                return mine.trigger("k")

        (ident,) = in_children(1, ask)
        wait_until(lambda: runs)

        assert [ident] == [run.id for run in runs]


def _lead_for_ever(connect: Connect) -> None:
    schedule = Schedule(connect(lease_s=SHORT_S))
    schedule.add("k", lambda run: time.sleep(60), every=YEARS_S)
    schedule.start()
    wait_until(lambda: schedule.get("k"))
    schedule.trigger("k")
    time.sleep(60)


def _job(schedule: Schedule) -> Any:
    job = schedule.get("k")
    assert job is not None
    return job


def _needs_shared(schedule: Schedule) -> None:
    if not schedule.features[ScheduleFeature.SHARED]:
        pytest.skip("processes do not share its jobs")
