"""What is lost, and what runs twice, when Celery workers on Capa are killed with SIGKILL."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capa_core import Runtime, use_runtime

APP = """
import os, time
from capa_celery import Celery

app = Celery("killed", broker="redis://legacy.invalid/0", backend="redis://legacy.invalid/1")

@app.task(shared=False)
def work(number):
    time.sleep(0.01)
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{number}\\n")
    return number

@app.task(shared=False)
def total(numbers):
    with open(os.environ["NOTES"], "a") as file:
        file.write("total\\n")
    return sum(numbers)
"""
LEASE_S = 2

pytestmark = pytest.mark.timeout(180)  # each kill costs a lease and a start


class Fleet:
    """Workers of one application that are killed and started anew."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.touch()
        (folder / "killed.py").write_text(APP)
        (folder / "capa.toml").write_text(f"[adapters.celery]\nlease_s = {LEASE_S}\n{settings}")
        self.environment = {**os.environ, "NOTES": str(self.notes), "PYTHONWARNINGS": "ignore"}

    @contextmanager
    def worker(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "capa_celery", "-A", "killed", "worker", "-l", "WARNING", *options]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ran(self) -> Counter[str]:
        return Counter(self.notes.read_text().split())

    def wait_until_ready(self, workers: int) -> None:
        """Wait until so many workers that log at INFO receive tasks."""
        end = time.monotonic() + 60
        while (self.folder / "log").read_text().count(" ready.") < workers:
            assert time.monotonic() < end
            time.sleep(0.02)

    def wait_until(self, count: int, timeout_s: float) -> float:
        """Wait until so many different tasks ran, and return how long it took."""
        start = time.monotonic()
        while len(self.ran()) < count:
            if time.monotonic() - start > timeout_s:
                return float("inf")
            time.sleep(0.02)
        return time.monotonic() - start


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server("redis"))])
def fleet(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    settings = ""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        settings = "".join(
            f'[{block}.default]\ndriver = "redis"\nurl = "{url}"\n' for block in ("pubsub", "state", "lock")
        )
    fleet = Fleet(tmp_path, settings)
    monkeypatch.syspath_prepend(tmp_path)
    with Runtime(file=tmp_path / "capa.toml") as runtime, use_runtime(runtime):
        __import__("killed")
        yield fleet
        del sys.modules["killed"]


@pytest.mark.parametrize("pool", ["solo", "threads", "prefork"])
def test_killed_workers_lose_nothing(fleet: Fleet, pool: str) -> None:
    tasks, kills, slots = 300, 3, 2
    work = app().tasks["killed.work"]
    results = [work.delay(number) for number in range(tasks)]
    for kill in range(kills):
        with fleet.worker("-P", pool, "-c", str(slots)) as worker:
            fleet.wait_until((kill + 1) * 60, timeout_s=20)
            worker.send_signal(signal.SIGKILL)
    with fleet.worker("-P", pool, "-c", str(slots)):
        fleet.wait_until(tasks, timeout_s=20)
        values = [result.get(timeout=10) for result in results]
    ran = fleet.ran()
    twice = sum(count - 1 for count in ran.values())

    assert (list(range(tasks)), tasks) == (values, len(ran))
    # What was finished but not acknowledged may run again: at most what an outbox gathers at each kill.
    assert twice <= kills * 100, f"{twice} of {tasks} tasks ran more than once"


@pytest.mark.quiet
def test_the_tasks_of_a_killed_worker_come_back_within_its_lease(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    options = ("-P", "prefork", "-c", "2", "-l", "INFO")
    with fleet.worker(*options) as first, fleet.worker(*options, "-n", "second@%h"):
        fleet.wait_until_ready(2)
        for number in range(200):
            work.delay(number)
        fleet.wait_until(20, timeout_s=20)
        first.send_signal(signal.SIGKILL)
        first.wait()
        took = fleet.wait_until(200, timeout_s=20)

    assert took <= LEASE_S + 2


def test_a_chord_survives_killed_workers_with_one_body(fleet: Fleet) -> None:
    from celery import chord

    work, total = app().tasks["killed.work"], app().tasks["killed.total"]
    body = chord(work.s(number) for number in range(150))(total.s())
    for kill in range(2):
        with fleet.worker("-P", "prefork", "-c", "2") as worker:
            fleet.wait_until((kill + 1) * 50, timeout_s=20)
            worker.send_signal(signal.SIGKILL)
    with fleet.worker("-P", "prefork", "-c", "2"):
        value = body.get(timeout=20)

    assert (sum(range(150)), 1) == (value, fleet.ran()["total"])


def app() -> Any:
    return sys.modules["killed"].app
