"""Leaders of a schedule die, or freeze past their lease: each run begins once, or counts as lost, and soon goes on.

Three processes lead one job. The file that its runs write and the job's history together must account for every time
that was due.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from faults.schedule_worker import EVERY_S, LEASE_S, open_schedule

from capa_core.blocks.schedule import Outcome
from capa_core.conformance._tolerance import SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError, UnavailableError

WORKER = Path(__file__).with_name("schedule_worker.py")
PROMISED_S = LEASE_S + 2

pytestmark = pytest.mark.timeout(180)


class Fleet:
    """Three processes that lead one job, the file that they write, and the schedule that they share."""

    def __init__(self, driver: str, settings: str, journal: Path) -> None:
        self.journal = journal
        self.journal.touch()
        self.schedule = open_schedule(driver, settings)
        words = [sys.executable, str(WORKER), driver, settings, str(journal)]
        self.processes = [subprocess.Popen(words) for _ in range(3)]
        wait_until(lambda: len(self.lines("ready")) == 3)

    def lines(self, kind: str) -> list[dict]:
        whole = map(json.loads, self.journal.read_text().splitlines())
        return [line for line in whole if line["kind"] == kind]

    def leader_in_a_run(self) -> tuple[subprocess.Popen[bytes], int]:
        """Wait for the beginning of the next run, and return its process and its token."""
        before = len(self.lines("begin"))
        wait_until(lambda: len(self.lines("begin")) > before)
        last = self.lines("begin")[-1]
        return next(process for process in self.processes if process.pid == last["pid"]), last["token"]

    def wait_for_another(self, token: int) -> float:
        """Wait until a later leader than that with *token* has begun a run, and return when it did."""
        wait_until(lambda: self.lines("begin")[-1]["token"] > token)
        return next(line["at"] for line in self.lines("begin") if line["token"] > token)

    def freeze(self, process: subprocess.Popen[bytes]) -> None:
        """Stop *process*, but not in a transaction of SQLite, which would keep out all others."""
        while True:
            process.send_signal(signal.SIGSTOP)
            with suppress(UnavailableError, DeadlineError):
                self.schedule.remove("probe")
                self.schedule._locks.try_lock("probe", "me", lease=LEASE_S)
                return
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.schedule.close()

    def check_accounts(self) -> None:
        """End the job, and compare the file and the history with the times that were due."""
        self.schedule.pause("tick")
        wait_until(lambda: not self.schedule.get("tick").running)
        job = self.schedule.get("tick")
        begun, ended = self.lines("begin"), self.lines("end")
        lost = {run.id for run in job.history if run.outcome is Outcome.LOST}
        due = {datetime.fromisoformat(line["due"]) for line in begun}
        due |= {run.scheduled_at for run in job.history}
        steps = {(time - min(due)) / timedelta(seconds=EVERY_S) for time in due}

        assert len({line["due"] for line in begun}) == len(begun), "a run began twice"
        assert {line["run"] for line in begun} - {line["run"] for line in ended} <= lost
        assert set(range(len(due))) == steps, "a time is in neither, or is none of the job's"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("redis", marks=pytest.mark.server("redis")),
        pytest.param("postgres", marks=pytest.mark.server("postgres")),
    ]
)
def fleet(request, tmp_path):
    settings = {"folder": str(tmp_path)}
    if request.param != "sqlite":
        settings = {"url": request.getfixturevalue(f"{request.param}_url")}
    if request.param == "postgres":
        settings["schema_name"] = request.getfixturevalue("postgres_schema")
    fleet = Fleet(request.param, json.dumps(settings), tmp_path / "journal")
    yield fleet
    fleet.close()


def test_the_runs_of_a_killed_leader_go_on_within_its_lease_and_2_s(fleet):
    for _ in range(2):
        leader, token = fleet.leader_in_a_run()
        leader.kill()
        killed = time.time()
        took_s = fleet.wait_for_another(token) - killed

        assert took_s < PROMISED_S + SLOW_MACHINE_S
    fleet.check_accounts()


def test_a_leader_that_froze_past_its_lease_begins_no_run_and_finds_its_own_lost(fleet):
    leader, token = fleet.leader_in_a_run()
    fleet.freeze(leader)
    frozen = time.time()
    followed = fleet.wait_for_another(token)
    ended = len(fleet.lines("end"))
    leader.send_signal(signal.SIGCONT)
    wait_until(lambda: len(fleet.lines("end")) > ended + 2)
    late = [line for line in fleet.lines("begin") + fleet.lines("end") if line["at"] > followed]

    assert followed - frozen < PROMISED_S + SLOW_MACHINE_S
    assert [] == [line for line in late if line["token"] == token and not line["lost"]]
    fleet.check_accounts()


@pytest.mark.server("redis")
def test_a_server_that_comes_back_without_its_data_gets_the_jobs_again(start_redis, tmp_path):
    server = start_redis()
    fleet = Fleet("redis", json.dumps({"url": server.url, "timeout_s": 1.0}), tmp_path / "journal")
    try:
        fleet.leader_in_a_run()
        server.kill()
        server.start()
        fleet.schedule.ping()
        begun = fleet.lines("begin")
        wait_until(lambda: len(fleet.lines("end")) > len(begun) + 2)
        after = [line["due"] for line in fleet.lines("begin")]

        assert len(set(after)) == len(after)
    finally:
        fleet.close()
