"""Jobs as values: read, replaced by version, removed, listed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from capa_core.blocks.schedule import (
    At,
    Cron,
    Every,
    Job,
    JobSpec,
    Outcome,
    Request,
    RunStatus,
    ScheduleDriver,
    ScheduleFeature,
    StoredJob,
    Trigger,
)
from capa_core.conformance._schedule.suite import LONG_AGO, ODD_NAMES, Suite

TIME = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)


def _job(name: str, trigger: Trigger | None = None) -> Job:
    run = RunStatus(id="1", scheduled_at=LONG_AGO, started_at=TIME, leader="me", token=2**60, missed=3)
    last = replace(
        run, id="0", ended_at=TIME, outcome=Outcome.FAILED, detail="é\x00\n", recovers="9", manual=True
    )
    return Job(
        name=name,
        spec=JobSpec(trigger=trigger or Every(0.1, TIME), misfire="all", concurrency="allow", recover=True),
        next_at=TIME,
        suspended=True,
        leader="me",
        token=2**60,
        running=(run,),
        history=(last,),
        requested=(Request(id="2", at=TIME),),
    )


class StoringPromises(Suite):
    """The promises of the driver's own calls, and its declared abilities."""

    def test_declares_every_ability(self, driver: ScheduleDriver[Any]) -> None:
        assert set(ScheduleFeature) == set(driver.features)

    def test_gives_a_reason_for_each_missing_ability(self, driver: ScheduleDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if not support and not support.note]

    def test_has_every_ability_of_level_0(self, driver: ScheduleDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if each.level == 0 and not support]

    @pytest.mark.parametrize(
        "trigger",
        [Cron("0 3 * * *", "Europe/Berlin"), Every(0.1, TIME), At(TIME)],
        ids=["cron", "every", "at"],
    )
    def test_a_job_is_read_as_it_was_written(self, driver: ScheduleDriver[Any], trigger: Trigger) -> None:
        version = driver.write(_job("k", trigger), "")

        assert version
        assert [StoredJob(_job("k", trigger), version), None] == driver.read(["k", "other"])

    def test_a_write_needs_the_present_version(self, driver: ScheduleDriver[Any]) -> None:
        job = _job("k")
        first = driver.write(job, "") or ""
        second = driver.write(replace(job, token=2), first) or ""

        assert "" not in (first, second)
        assert first != second
        assert [None, None, None] == [
            driver.write(replace(job, token=3), version) for version in ("", first, "unknown")
        ]
        assert [StoredJob(replace(job, token=2), second)] == driver.read(["k"])

    def test_a_version_does_not_come_again_after_a_removal(self, driver: ScheduleDriver[Any]) -> None:
        first = driver.write(_job("k"), "") or ""
        removed = [driver.remove("k"), driver.remove("k")]
        again = driver.write(_job("k"), "")

        assert [True, False] == removed
        assert again not in (None, first)
        assert driver.write(_job("k"), first) is None

    def test_each_odd_name_is_a_value_of_its_own(self, driver: ScheduleDriver[Any]) -> None:
        for name in ODD_NAMES:
            driver.write(_job(name), "")

        assert sorted(ODD_NAMES) == sorted(driver.names())
        assert ODD_NAMES == [stored.job.name for stored in driver.read(ODD_NAMES) if stored]

    def test_no_job_is_read_of_no_names(self, driver: ScheduleDriver[Any]) -> None:
        assert [] == driver.read([])
        assert [] == list(driver.names())

    def test_the_locks_are_those_of_the_jobs_alone(self, driver: ScheduleDriver[Any]) -> None:
        driver.locks.acquire("k", "me", 10)
        driver.write(_job("k"), "")

        assert driver.locks is driver.locks
        assert ["k"] == list(driver.names())
        assert driver.remove("k")
        assert driver.locks.acquire("k", "you", 10) is None
