"""Applications and workers for the tests of capa_celery: in this process on memory, or as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import celery
import pytest

import capa_celery
from capa_celery.contrib.testing.worker import start_worker as start_capa_worker
from capa_core import Runtime, use_runtime

TASKS = '''
import os, time
from pathlib import Path
from celery.exceptions import SoftTimeLimitExceeded
from capa_celery import Celery

app = Celery("proj", broker="redis://legacy.invalid:6379/0", backend="redis://legacy.invalid:6379/1")

def note(line):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{line}\\n")

@app.task
def add(x, y):
    return x + y

@app.task
def total(numbers):
    return sum(numbers)

@app.task(bind=True)
def mark(self, name, pause=0.0):
    note(f"begin {name}")
    time.sleep(pause)
    note(f"end {name}")
    return os.getpid()

@app.task(soft_time_limit=0.3, time_limit=30)
def soft(pause):
    try:
        time.sleep(pause)
    except SoftTimeLimitExceeded:
        return "interrupted"
    return "done"

@app.task(time_limit=0.5)
def hard(pause):
    time.sleep(pause)

@app.task(bind=True)
def die_once(self):
    note("begin die")
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), 9)
    return "survived"

@app.task
def die_always():
    note("begin die")
    os.kill(os.getpid(), 9)
'''


@pytest.fixture(scope="session")
def make_tasks() -> Callable[[type], Any]:
    """Give a function that makes the same application from either `Celery` class."""
    return _make_tasks


def _make_tasks(kind: type) -> Any:
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
        return [info["exchange"], info["routing_key"], info["redelivered"]]

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
