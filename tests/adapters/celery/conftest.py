"""Applications and workers for the tests of capa_celery: in this process on memory, or as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import celery
import pytest
from celery_engines import REDIS, SQLITE, tables
from celery_fleet import PATIENCE_S

import capa_celery
from capa_celery.contrib.testing.worker import start_worker as start_capa_worker
from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import wait_until

TASKS = """
import os, time
from pathlib import Path
from celery.exceptions import SoftTimeLimitExceeded
from capa_celery import Celery

app = Celery("proj", broker="redis://legacy.invalid:6379/0", backend="redis://legacy.invalid:6379/1")

def task(**options):
    return app.task(shared=False, **options)

def note(line):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{line}\\n")

@task()
def add(x, y):
    return x + y

@task()
def total(numbers):
    return sum(numbers)

@task(bind=True)
def mark(self, name, pause=0.0):
    note(f"begin {name}")
    time.sleep(pause)
    note(f"end {name}")
    return os.getpid()

@task(soft_time_limit=0.3, time_limit=30)
def soft(pause):
    try:
        time.sleep(pause)
    except SoftTimeLimitExceeded:
        return "interrupted"
    return "done"

@task(time_limit=0.5)
def hard(pause):
    time.sleep(pause)

@task(bind=True)
def die_once(self):
    note("begin die")
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), 9)
    return "survived"

@task()
def die_always():
    note("begin die always")
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="session")
def make_tasks() -> Callable[[type], Any]:
    """Give a function that makes the same application from either `Celery` class."""
    return _make_tasks


def _make_tasks(kind: type) -> Any:  # noqa: C901 - one task after another
    app = kind("twin", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
    app.conf.broker_transport_options = {"polling_interval": 0.01}  # kombu looks once a second by itself

    def task(**options: Any) -> Callable[[Any], Any]:
        return app.task(shared=False, **options)

    @task(name="add")
    def add(x, y):
        return x + y

    @task(name="fail")
    def fail(*args):
        raise ValueError(*args)

    @task(name="retry", bind=True, max_retries=2)
    def retry(self, times):
        if self.request.retries < times:
            raise self.retry(countdown=0)
        return self.request.retries

    @task(name="autoretry", bind=True, autoretry_for=(OSError,), max_retries=3, default_retry_delay=0)
    def autoretry(self, times):
        if self.request.retries < times:
            raise OSError("again")
        return self.request.retries

    @task(name="total")
    def total(numbers):
        return sum(numbers)

    @task(name="ignored", ignore_result=True)
    def ignored():
        return "unseen"

    @task(name="headers", bind=True)
    def headers(self):
        return self.request.headers

    @task(name="where", bind=True)
    def where(self):
        info = self.request.delivery_info
        return [info["exchange"], info["routing_key"], info["redelivered"], info["priority"]]

    @task(name="remember")
    def remember(text):
        app.seen.append(text)

    @task(name="update", bind=True)
    def update(self):
        self.update_state(state="PROGRESS", meta={"done": 1})
        return self.AsyncResult(self.request.id).state

    @task(name="replaced", bind=True)
    def replaced(self, x):
        raise self.replace(add.s(x, 100))

    @task(name="leave")
    def leave():
        raise celery.exceptions.Ignore

    @task(name="refuse")
    def refuse():
        raise celery.exceptions.Reject("no", requeue=False)

    @task(name="quit")
    def quit_():
        sys.exit(3)

    app.seen = []
    return app


@pytest.fixture
def memory_app(make_tasks: Callable[[type], Any]) -> Iterator[Any]:
    """Give an application on memory drivers, without a worker."""
    with use_runtime(Runtime.in_memory()):
        yield make_tasks(capa_celery.Celery)


@pytest.fixture
def serving() -> Callable[..., Any]:
    """Give a function that runs a Capa worker in a thread for the length of a `with` block."""

    def serve(app: Any, **options: Any) -> Any:
        return start_capa_worker(app, perform_ping_check=False, loglevel="CRITICAL", **options)

    return serve


class Project:
    """A folder with an application, a capa.toml and workers that serve it as processes of their own."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder = folder
        self._engine = engine
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.environment = {**os.environ, "NOTES": str(self.notes_file), "PYTHONWARNINGS": "ignore"}
        (folder / "proj.py").write_text(TASKS)
        (folder / "capa.toml").write_text(self._settings(lease_s=2))

    def _settings(self, lease_s: float) -> str:
        return f"[adapters.celery]\nlease_s = {lease_s}\n{self._engine}"

    @contextmanager
    def worker(
        self,
        *options: str,
        program: tuple[str, ...] = ("capa_celery",),
        lease_s: float = 2,
        application: str = "proj",
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a worker for the length of a `with` block; it is ready when the block begins."""
        command = [sys.executable, "-m", *program, "-A", application, "worker", "-l", "INFO", *options]
        with self.process(command, lease_s=lease_s) as process:
            self.wait_for_log(process, b" ready.")
            yield process

    @contextmanager
    def process(self, command: list[str], *, lease_s: float = 2) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a program in the folder for the length of a `with` block; it is killed if it does not end."""
        (self.folder / "capa.toml").write_text(self._settings(lease_s))
        log = self.folder / f"log-{time.monotonic_ns()}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
        process.log = log  # type: ignore[attr-defined]
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            print(log.read_text()[-6000:])

    def wait_for_log(self, process: Any, text: bytes) -> None:
        """Wait until the process has written *text*."""
        self.wait_until(lambda: text in process.log.read_bytes() or process.poll() is not None)
        assert text in process.log.read_bytes(), process.log.read_text()[-3000:]

    def wait_for_notes(self, count: int) -> None:
        """Wait until tasks have written so many lines."""
        self.wait_until(lambda: len(self.notes()) >= count)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds."""
        wait_until(condition, patience_s=PATIENCE_S)

    def notes(self) -> list[str]:
        """Return the lines that tasks have written."""
        return self.notes_file.read_text().splitlines()

    def depth(self, queue: str = "celery") -> int:
        """Return how many messages the queue holds, leased ones included."""
        return self.app.capa.pubsub.depth(queue, "celery")

    @property
    def app(self) -> Any:
        """The application as a client in this process."""
        return sys.modules["proj"].app


@pytest.fixture(params=[SQLITE, REDIS])
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """Give a project on each engine, and a client of it in this process."""
    project = Project(tmp_path, tables(request.param, request))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NOTES", str(project.notes_file))
    with Runtime(file=tmp_path / "capa.toml") as runtime, use_runtime(runtime):
        __import__("proj")
        yield project
        del sys.modules["proj"]
