"""Celery's prefork pool when single processes of it are killed, and workers that are suspended past their lease."""

import os
import random
import signal
import time
from collections import Counter
from typing import NamedTuple

import pytest
from celery_fleet import LEASE_S, Fleet, app, children, zygote

from capa_core.clocks import boot_time

pytestmark = pytest.mark.timeout(600)
TASKS, KILLS = (int(each) for each in os.environ.get("CAPA_FAULTS", "400x12").split("x"))
SLOTS = 2
LONG_LEASE_S = 8
"""None is lost because a busy machine kept a worker waiting, so that a test can count the tasks that ran twice."""
BUSY = """
import sys
from capa_celery._worker import _stall
from capa_celery._worker._consumer import Consumer
from capa_celery._worker._jobs import Window

on_lost = Consumer._on_lost

def on_lost_late(self, messages):
    time.sleep(1)
    on_lost(self, messages)

Consumer._on_lost = on_lost_late
_stall.STALLED_S = 60
if "second@%h" in sys.argv:
    Window.size = lambda self: 2
"""
"""A worker learns late which leases it has lost, as on a busy machine: some, since another takes few at a time."""


def test_killed_children_strand_no_task(fleet: Fleet) -> None:
    rng = random.Random(3)
    results = [fleet.send(number) for number in range(TASKS)]
    killed = 0
    with fleet.worker("-P", "prefork", "-c", str(SLOTS)) as worker:
        while killed < KILLS and len(fleet.ran()) < TASKS:
            fleet.wait_until(TASKS // KILLS * (killed + 1) // 2, timeout_s=20)
            if pids := children(worker.pid):
                os.kill(rng.choice(pids), signal.SIGKILL)
                killed += 1
        took = fleet.wait_until(TASKS, timeout_s=30 + TASKS / 50)
        values = [result.get(timeout=10) for result in results]
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(20)
    twice = sum(fleet.ran().values()) - TASKS
    print(f"{killed} processes killed, {took:.1f} s: {fleet.verdict()}")

    assert (0, list(range(TASKS))) == (code, values)
    assert f"sent={TASKS} done={TASKS} lost=0 duplicated={twice} unknown=0" == fleet.verdict()
    assert took < 30 + TASKS / 50
    # A child has the task that runs, and those whose results are on their way: a few trips' worth of 10 ms tasks.
    assert twice <= 10 * killed


def test_a_child_that_dies_while_it_waits_strands_no_task(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "1", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        for number in range(10):
            before = children(worker.pid)
            work.delay(number)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            took = fleet.wait_until(number + 1, timeout_s=20)

            assert took < LEASE_S + 2


@pytest.mark.quiet
def test_a_worker_ends_and_says_why_when_its_forking_process_is_killed(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "2", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        killed = zygote(worker.pid)
        os.kill(killed, signal.SIGKILL)
        start = time.monotonic()
        code = worker.wait(10)
        took = time.monotonic() - start
    log = (fleet.folder / "log").read_text()
    work.delay(1)
    with fleet.worker("-P", "solo"):
        fleet.wait_until(1, timeout_s=20)

    assert code not in (0, -signal.SIGKILL)
    assert took < 2
    assert f"the process {killed} that starts the pool's processes was killed" in log


@pytest.mark.parametrize("victims", ["worker", "all"])
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_suspended_worker_begins_nothing_that_others_have(fleet: Fleet, pool: str, victims: str) -> None:
    module = fleet.folder / "killed.py"
    module.write_text(f"{module.read_text()}\n{BUSY}")
    settings = fleet.folder / "capa.toml"
    settings.write_text(settings.read_text().replace(f"lease_s = {LEASE_S}\n", f"lease_s = {LONG_LEASE_S}\n"))
    tasks = 40
    with fleet.worker("-P", pool, "-c", str(SLOTS), "-l", "INFO", "-n", "first@%h") as first:
        fleet.wait_until_ready(1)
        for number in range(tasks):
            app().tasks["killed.timed"].delay(number, 0.2)
        fleet.wait_until(8, timeout_s=20)
        pids = [first.pid, *(children(first.pid) if victims == "all" else [])]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        over = boot_time() + LONG_LEASE_S
        with fleet.worker("-P", pool, "-c", str(SLOTS), "-l", "INFO", "-n", "second@%h") as second:
            # On SQLite, one of them may hold the lock of the database all the time.
            while boot_time() < over + 4 and not any(10 <= run.number < 14 for run in runs(fleet, "second")):
                time.sleep(0.02)
            for pid in pids:  # the worker first: its pool's processes go on when it has renewed its leases
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.3)
            fleet.wait_until_ready(2)
            fleet.wait_for(lambda: len({run.number for run in runs(fleet, "")}) == tasks)
            time.sleep(1)
            second.send_signal(signal.SIGTERM)
            second.wait(20)
        first.send_signal(signal.SIGTERM)
        codes = (first.wait(20), second.returncode)
    taken = {run.number for run in runs(fleet, "second")}
    late = [run for run in runs(fleet, "first") if run.ended > over]
    twice = Counter(run.slot for run in late if run.number in taken)

    assert (0, 0) == codes
    # The one that ran when its slot was suspended.
    assert max(twice.values(), default=0) <= 1, late


class Run(NamedTuple):
    number: int
    worker: str
    slot: str
    ended: float


def runs(fleet: Fleet, worker: str) -> list[Run]:
    """Return the tasks that ended in *worker*, each as often as it did there."""
    lines = (line.split(":") for line in fleet.notes.read_text().split() if f":{worker}" in line)
    return [Run(int(number), worker, slot, float(ended)) for number, worker, slot, ended in lines]
