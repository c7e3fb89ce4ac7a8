"""Celery's prefork pool when single processes of it are killed, and workers that are suspended past their lease."""

import math
import os
import random
import signal
import time
from collections import Counter
from typing import Any, NamedTuple

import pytest
from celery_engines import on_every_engine, on_one_engine
from celery_fleet import LEASE_S, PATIENCE_S, Fleet, app, children, zygote

from capa_core.clocks import boot_time

pytestmark = pytest.mark.timeout(600)
TASKS, KILLS = (int(each) for each in os.environ.get("CAPA_FAULTS", "400x12").split("x"))
SLOTS = 2
AHEAD = 40
"""So few tasks wait at a time that one that comes again, on some engines behind all others, is soon run."""
HANDS = """
from pathlib import Path
from capa_celery import _codec
from capa_celery._worker.prefork._pool import PreforkPool

on_down = PreforkPool._on_down

def on_down_noted(self, index, status):
    jobs = (self.jobs.get(number) for number in self._slots.of(index).taken)
    ids = [_codec.decode(job.message.data).headers["id"] for job in jobs if job is not None]
    with Path("hands").open("a") as file:
        file.writelines(f"{self._pids[index]}:{each}\\n" for each in ids)
    on_down(self, index, status)

PreforkPool._on_down = on_down_noted
"""
"""A worker writes down which tasks a dead process leaves behind: taken, and not known to be done."""
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
def test_killed_children_strand_no_task(fleet: Fleet) -> None:
    fleet.add_code(HANDS)
    with fleet.worker("-P", "prefork", "-c", str(SLOTS)) as worker:
        results, killed = send_and_kill(fleet, worker.pid)
        values = [result.get(timeout=PATIENCE_S) for result in results]
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(PATIENCE_S)
    number_of = {result.id: number for number, result in enumerate(results)}
    lines = (line.split(":") for line in (fleet.folder / "hands").read_text().split())
    hands = {(pid, number_of[ident]) for pid, ident in lines}
    elsewhere = [run for run in runs(fleet, "") if (run.slot, run.number) not in hands]
    ended = {run.number: run.ended for run in elsewhere}
    back_s = max(ended.get(number, math.inf) - killed[int(pid)] for pid, number in hands)
    print(f"{len(killed)} processes killed, {len(hands)} tasks in their hands, back within {back_s:.1f} s")
    print(verdict := fleet.verdict())

    assert (0, list(range(TASKS))) == (code, values)
    assert verdict.startswith(f"sent={TASKS} done={TASKS} lost=0 ")
    # What ran twice was in the hands of a process that was killed: the running task, or one of unstored result.
    assert Counter(range(TASKS)) == Counter(run.number for run in elsewhere)
    assert back_s <= LEASE_S + 2
    assert KILLS - 2 <= len(killed)
    assert len(hands) <= 10 * len(killed)


def send_and_kill(fleet: Fleet, worker: int) -> tuple[list[Any], dict[int, float]]:
    """Send all tasks, kill a process of the pool now and then, and return the results, and the times of the kills."""
    rng, results, killed = random.Random(3), [], {}
    end = time.monotonic() + 60 + TASKS / 50
    while (done := len(fleet.ran())) < TASKS and time.monotonic() < end:
        while len(results) < min(TASKS, done + AHEAD):
            results.append(fleet.send(len(results), task="timed"))
        alive = [pid for pid in children(worker) if pid not in killed]
        if alive and len(killed) < (KILLS + 1) * done // TASKS:
            pid = rng.choice(alive)
            killed[pid] = boot_time()
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return results, killed


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
