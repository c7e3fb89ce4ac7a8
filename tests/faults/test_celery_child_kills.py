"""Celery's prefork pool when single processes of it are killed, and workers that are suspended past their lease."""

import os
import signal
import time
from collections import Counter
from typing import NamedTuple

import pytest
from celery_engines import on_every_engine, on_one_engine
from celery_fleet import LEASE_S, PATIENCE_S, Fleet, app, children, zygote

from capa_core.clocks import boot_time

pytestmark = pytest.mark.timeout(180)
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


@on_every_engine("fleet")
def test_a_child_that_dies_while_it_waits_strands_no_task(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "1", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        killed: set[int] = set()  # some may still be listed
        for number in range(10):
            fleet.wait_for(lambda: set(children(worker.pid)) - killed)
            victims = set(children(worker.pid)) - killed
            work.delay(number)
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            killed.update(victims)
            took = fleet.wait_until(number + 1)

            assert took < LEASE_S + 2


@pytest.mark.quiet
@on_one_engine("fleet")
def test_a_worker_ends_and_says_why_when_its_forking_process_is_killed(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "2", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        killed = zygote(worker.pid)
        os.kill(killed, signal.SIGKILL)
        start = time.monotonic()
        code = worker.wait(PATIENCE_S)
        took = time.monotonic() - start
    log = (fleet.folder / "log").read_text()
    work.delay(1)
    with fleet.worker("-P", "solo"):
        fleet.wait_until(1)

    assert code not in (0, -signal.SIGKILL)
    assert took < 2
    assert f"the process {killed} that starts the pool's processes was killed" in log


@pytest.mark.parametrize(
    ("pool", "victims"), [("threads", "worker"), ("prefork", "worker"), ("prefork", "all")]
)
def test_a_suspended_worker_begins_nothing_that_others_have(fleet: Fleet, pool: str, victims: str) -> None:
    fleet.add_code(BUSY)
    settings = fleet.folder / "capa.toml"
    settings.write_text(settings.read_text().replace(f"lease_s = {LEASE_S}\n", f"lease_s = {LONG_LEASE_S}\n"))
    tasks = 40
    with fleet.worker("-P", pool, "-c", str(SLOTS), "-l", "INFO", "-n", "first@%h") as first:
        fleet.wait_until_ready(1)
        for number in range(tasks):
            app().tasks["killed.timed"].delay(number, 0.2)
        fleet.wait_until(8)
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
            second.wait(PATIENCE_S)
        first.send_signal(signal.SIGTERM)
        codes = (first.wait(PATIENCE_S), second.returncode)
    taken = {run.number for run in runs(fleet, "second")}
    twice = [run for run in runs(fleet, "first") if run.number in taken]

    assert (0, 0) == codes
    # The one that ran when its slot was suspended, or had ended and was not settled yet.
    assert max(Counter(run.slot for run in twice).values(), default=0) <= 1, twice


class Run(NamedTuple):
    number: int
    worker: str
    slot: str
    ended: float


def runs(fleet: Fleet, worker: str) -> list[Run]:
    """Return the tasks that ended in *worker*, each as often as it did there."""
    lines = (line.split(":") for line in fleet.notes.read_text().split() if f":{worker}" in line)
    return [Run(int(number), worker, slot, float(ended)) for number, worker, slot, ended in lines]
