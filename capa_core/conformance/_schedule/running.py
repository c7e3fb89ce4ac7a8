"""Runs of jobs in one process."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capa_core.blocks.schedule import Outcome, Run, Schedule
from capa_core.conformance._schedule.suite import LONG_AGO, ODD_NAMES, YEARS_S, Suite, begin, ended
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError


class _MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class RunningPromises(Suite):
    """The promises of jobs, runs and histories."""

    def test_an_interval_runs_again_and_again(self, schedule: Schedule) -> None:
        runs: list[Run] = []
        schedule.add("k", runs.append, every=0.2)
        schedule.start()
        wait_until(lambda: len(runs) >= 3)
        times = [run.scheduled_at for run in runs]

        assert sorted(set(times)) == times
        assert all((time - times[0]) % timedelta(seconds=0.2) == timedelta() for time in times)
        assert all(time <= datetime.now(UTC) for time in times)

    def test_a_single_time_runs_once(self, schedule: Schedule) -> None:
        runs: list[Run] = []
        schedule.add("k", runs.append, at=LONG_AGO)
        schedule.start()
        wait_until(lambda: (job := schedule.get("k")) and job.history)
        job = schedule.get("k")

        assert [LONG_AGO] == [run.scheduled_at for run in runs]
        assert job is not None
        assert job.next_at is None

    def test_the_end_of_a_run_is_stored(self, schedule: Schedule) -> None:
        (run,) = _requested(schedule, begin(schedule, "k"))
        status = ended(schedule, "k", run.id)

        assert (Outcome.SUCCEEDED, True, run.token, run.scheduled_at) == (
            status.outcome,
            status.manual,
            status.token,
            status.scheduled_at,
        )
        assert status.started_at is not None
        assert status.ended_at is not None
        assert status.started_at <= status.ended_at

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ValueError("no\x00 é"), "ValueError: no\x00 é"),
            (SystemExit(3), "SystemExit: 3"),
            (ValueError("half \ud800 pair"), "ValueError: half \\ud800 pair"),
            (_MuteError(), "_MuteError: its text cannot be had: RuntimeError"),
        ],
        ids=["text", "exit", "no text for UTF-8", "no text at all"],
    )
    def test_an_error_of_a_handler_is_the_reason_of_the_failure(
        self, schedule: Schedule, error: BaseException, reason: str
    ) -> None:
        def fail(run: Run) -> None:
            raise error

        schedule.add("k", fail, every=YEARS_S)
        schedule.start()
        wait_until(lambda: schedule.get("k"))
        status = ended(schedule, "k", schedule.trigger("k"))

        assert (Outcome.FAILED, reason) == (status.outcome, status.detail)

    def test_a_run_is_shown_while_it_runs(self, schedule: Schedule) -> None:
        go_on = threading.Event()
        schedule.add("k", lambda run: go_on.wait(60), every=YEARS_S)
        schedule.start()
        wait_until(lambda: schedule.get("k"))
        ident = schedule.trigger("k")
        wait_until(lambda: schedule.history("k"))
        shown = [(run.id, run.outcome) for run in schedule.history("k")]
        go_on.set()

        assert [(ident, Outcome.RUNNING)] == shown
        assert Outcome.SUCCEEDED == ended(schedule, "k", ident).outcome

    def test_the_history_is_as_long_as_defined(self, schedule: Schedule) -> None:
        begin(schedule, "k", history_limit=2)
        idents = [ended(schedule, "k", schedule.trigger("k")).id for _ in range(3)]

        assert idents[:0:-1] == [run.id for run in schedule.history("k")]

    def test_each_odd_name_is_a_job_of_its_own(self, schedule: Schedule) -> None:
        runs = begin(schedule, *ODD_NAMES)
        for name in ODD_NAMES:
            schedule.trigger(name)
        wait_until(lambda: len(runs) == len(ODD_NAMES))

        assert sorted(ODD_NAMES) == sorted(run.job for run in runs)
        assert sorted(ODD_NAMES) == sorted(job.name for job in schedule.jobs())
        assert f"{len(ODD_NAMES)} jobs" == schedule.summary()

    def test_a_suspended_job_runs_on_request_alone(self, schedule: Schedule) -> None:
        runs = begin(schedule, "k")
        schedule.pause("k")
        schedule.add("tick", runs.append, every=0.1)
        wait_until(lambda: runs)
        schedule.pause("tick")
        wait_until(lambda: not (job := schedule.get("tick")) or not job.running)
        seen = len(runs)
        ended(schedule, "k", schedule.trigger("k"))

        assert ["k"] == [run.job for run in runs[seen:]]
        schedule.resume("tick")
        wait_until(lambda: len(runs) > seen + 1)

    def test_a_removed_job_is_gone_with_its_history(self, schedule: Schedule) -> None:
        _requested(schedule, begin(schedule, "k"))

        assert [True, False] == [schedule.remove("k"), schedule.remove("k")]
        assert schedule.get("k") is None
        assert [] == list(schedule.jobs())

    @pytest.mark.parametrize("call", ["history", "trigger", "pause", "resume"])
    def test_a_job_that_is_not_there_is_named(self, schedule: Schedule, call: str) -> None:
        with pytest.raises(NotFoundError, match="has no job 'k'"):
            getattr(schedule, call)("k")

    @pytest.mark.parametrize("name", ["", "x" * 201, "half \ud800 pair", b"bytes", None], ids=repr)
    def test_an_invalid_name_is_refused(self, schedule: Schedule, name: Any) -> None:
        for call in (
            lambda name: schedule.add(name, print, every=1),
            schedule.get,
            schedule.history,
            schedule.trigger,
            schedule.pause,
            schedule.resume,
            schedule.remove,
        ):
            with pytest.raises(InvalidArgumentError):
                call(name)

    def test_a_job_has_one_handler_in_a_process(self, schedule: Schedule) -> None:
        registration = schedule.add("k", print, every=1)
        with pytest.raises(AlreadyExistsError, match="has a handler for 'k'"):
            schedule.add("k", print, every=1)
        registration.close()
        schedule.add("k", print, every=1)


def _requested(schedule: Schedule, runs: list[Run]) -> list[Run]:
    """Request a run of `k`, and wait for its end."""
    ended(schedule, "k", schedule.trigger("k"))
    return runs
