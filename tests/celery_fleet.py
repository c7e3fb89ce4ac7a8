"""Workers of a Celery application on Capa, as processes that tests kill, and a journal of what ran."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from celery_engines import REDIS, SQLITE, tables

from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import wait_until

APP = """
import os, threading, time
from capa_celery import Celery

app = Celery("killed", broker="redis://legacy.invalid/0", backend="redis://legacy.invalid/1")

def note(line):
    journal = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND)  # one write: no process can tear another's
    os.write(journal, f"{line}\\n".encode())
    os.close(journal)

@app.task(shared=False)
def work(number, pause_s=0.01):
    time.sleep(pause_s)
    note(number)
    return number

@app.task(bind=True, shared=False)
def timed(self, number, pause_s):
    time.sleep(pause_s)
    note(f"{number}:{self.request.hostname}:{threading.get_native_id()}:{time.clock_gettime(time.CLOCK_BOOTTIME)}")
    return number

@app.task(shared=False)
def poison(pause_s=0.0):
    note("poison")
    time.sleep(pause_s)
    os.kill(os.getpid(), 9)

@app.task(shared=False, acks_late=True, reject_on_worker_lost=True)
def rejected_poison():
    app.tasks["killed.poison"]()

@app.task(shared=False)
def fatal():
    note("poison")
    zygote = os.getppid()
    with open(f"/proc/{zygote}/stat") as stat:
        worker = int(stat.read().split()[3])
    for pid in (worker, zygote, os.getpid()):
        os.kill(pid, 9)

@app.task(shared=False)
def total(numbers):
    note("total")
    return sum(numbers)
"""
LEASE_S = 2
LIMITS = f"lease_s = {LEASE_S}\nmax_worker_losses = 100\n"
"""Kills here are not the fault of a task: a third one that meets the same task would make it a dead letter."""
PATIENCE_S = 90
"""A worker needs half a minute to start on a machine that is busy with other tests."""


class Fleet:
    """Workers of one application that are killed and started anew."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.touch()
        (folder / "killed.py").write_text(APP)
        (folder / "capa.toml").write_text(f"[adapters.celery]\n{LIMITS}{settings}")
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
        """Return how often each task has run."""
        return Counter(line.partition(":")[0] for line in self.notes.read_text().split())

    def add_code(self, text: str) -> None:
        """Have *text* in the application of workers that start from now on."""
        module = self.folder / "killed.py"
        module.write_text(f"{module.read_text()}\n{text}")

    def wait_until_ready(self, workers: int) -> None:
        """Wait until so many workers that log at INFO receive tasks."""
        self.wait_for(lambda: (self.folder / "log").read_text().count(" ready.") >= workers)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* holds."""
        wait_until(condition, patience_s=PATIENCE_S)

    def wait_until(self, count: int) -> float:
        """Wait until so many different tasks ran, and return how long it took."""
        start = time.monotonic()
        self.wait_for(lambda: len(self.ran()) >= count)
        return time.monotonic() - start


@pytest.fixture(params=[SQLITE, REDIS])
def fleet(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, tables(request.param, request))
    monkeypatch.syspath_prepend(tmp_path)
    with Runtime(file=tmp_path / "capa.toml") as runtime, use_runtime(runtime):
        __import__("killed")
        yield fleet
        del sys.modules["killed"]


def children(worker: int) -> list[int]:
    """Return the pool's processes of *worker*: none yet for a moment after it says that it is ready."""
    return [child for parent in _below(worker) for child in _below(parent)]


def only_child(worker: int) -> int:
    """Wait until the pool of *worker* has its one process, and return that."""
    wait_until(lambda: len(children(worker)) == 1, patience_s=PATIENCE_S)
    return children(worker)[0]


def zygote(worker: int) -> int:
    """Wait until *worker* has the process that starts the pool's processes, and return that."""
    wait_until(lambda: len(_below(worker)) == 1, patience_s=PATIENCE_S)
    return _below(worker)[0]


def _below(pid: int) -> list[int]:
    found = []
    for thread in Path("/proc").glob(f"{pid}/task/*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def app() -> Any:
    """Return the application, as a client in this process."""
    return sys.modules["killed"].app
