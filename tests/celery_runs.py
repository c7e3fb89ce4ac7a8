"""The runs that show which settings and signals of Celery have an effect: `python celery_runs.py ROLE`.

The roles share a folder: a worker of each pool with beat in it, beat alone, a producer, and one process that does in
memory what needs no worker. Each adds to the record in `RECORD` (`celery_reads.py`).
"""

import contextlib
import os
import sys
import time
from typing import Any

import celery.result
from celery.exceptions import Reject, WorkerLostError
from celery.schedules import crontab
from celery_reads import Record
from click import Option
from kombu import Queue

import capa_celery
from capa_celery import chord, group
from capa_core import Runtime, use_runtime
from capa_core.errors import UnavailableError

WAIT_S = 120
SETTINGS = {
    "beat_schedule": {
        "each-second": {"task": "add", "schedule": 1.0, "args": (1, 2)},
        "each-minute": {"task": "add", "schedule": crontab(), "args": (1, 2)},
    },
    "beat_cron_starting_deadline": 3600,
    "worker_soft_shutdown_timeout": 0.1,
    "task_queues": [Queue("celery"), Queue("other")],
}


class Failing:
    """A result backend that cannot store."""

    def __init__(self, backend: Any) -> None:
        """Be otherwise like *backend*."""
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def store_result(self, *_: Any, **__: Any) -> None:
        """Fail, which is an internal error."""
        raise ValueError("odd")


class Odd(capa_celery.Task):
    """A task that cannot be marked as started."""

    track_started = True

    @property
    def backend(self) -> Any:
        """The result backend."""
        return Failing(self.app.backend)


def application() -> Any:  # noqa: C901 - one task after another
    """Return an application with tasks of each fate."""
    app = capa_celery.Celery(
        "runs", broker="redis://legacy.invalid:6379/0", backend="redis://legacy.invalid:6379/1"
    )
    app.conf.update(SETTINGS)
    app.user_options["preload"].add(Option(["--tenant"], default="t1"))

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(name="fail")
    def fail() -> None:
        raise ValueError("no")

    @app.task(name="retry", bind=True)
    def retry(self: Any) -> None:
        if not self.request.retries:
            raise self.retry(countdown=0)

    @app.task(name="reject", acks_late=True)
    def reject() -> None:
        raise Reject("no", requeue=False)

    @app.task(name="die", acks_late=True)
    def die() -> None:
        os.kill(os.getpid(), 9)

    @app.task(name="late", acks_late=True, soft_time_limit=0.1)
    def late() -> None:
        time.sleep(WAIT_S)

    @app.task(name="hang", acks_late=True, time_limit=0.5)
    def hang() -> None:
        time.sleep(WAIT_S)

    @app.task(name="unheard", ignore_result=True)
    def unheard() -> None:
        raise ValueError("no")

    @app.task(name="odd", base=Odd)
    def odd() -> None:
        return None

    return app


def produce(app: Any) -> None:
    """Send tasks and wait for what they return."""
    task = app.signature
    is_forking = os.environ["POOL"] == "prefork"
    limits = ("late", "hang") if is_forking else ()  # the others have none
    task("odd").delay()  # nobody stores what becomes of it
    sent = {name: task(name).delay() for name in ("fail", "retry", "unheard", *limits)}
    assert 3 == task("add", (1, 2)).delay().get(timeout=WAIT_S)
    celery.result.tblib = celery.result.tblib or object()  # as if it were installed
    for result in sent.values():
        with contextlib.suppress(Exception):
            result.get(timeout=WAIT_S)
    if is_forking:  # the task takes a process along
        with contextlib.suppress(WorkerLostError):
            task("die").delay().get(timeout=WAIT_S)
    assert 6 == chord([task("add", (1, 1)), task("add", (2, 2))])(task("total")).get(timeout=WAIT_S)
    assert [2, 4] == group(task("add", (1, 1)), task("add", (2, 2)))().get(timeout=WAIT_S)
    app.send_task("unknown")
    task("add", (1, 2)).apply_async(queue="missing")
    task("reject").delay()
    revoked = task("add", (1, 1)).apply_async(countdown=0.5)
    revoked.revoke()
    with contextlib.suppress(Exception):
        revoked.get(timeout=WAIT_S)
    time.sleep(1)  # its signal follows the result, and the worker may be broken off after this


def alone(app: Any) -> None:
    """Do what needs no worker."""
    with use_runtime(Runtime.in_memory()):
        task = app.signature
        app.log.setup()
        app.tasks["add"].apply((1, 2)).get()
        with contextlib.suppress(ValueError):
            app.tasks["fail"].apply().get()
        errors = chord([task("add", (1, 1))], task("total"), app=app)
        errors.link_error(task("fail"))
        _store_again(app)
        done = app.backend.store_result("done", 3, "SUCCESS") and app.AsyncResult("done")
        assert 3 == app.backend._nested_result(done, {})  # a part of a chord that is not in its header


def _store_again(app: Any) -> None:
    """Store a result on an engine that is away at first."""
    app.conf.result_backend_always_retry = True
    backend = type(app.backend)(app=app, url=app.backend.url)
    store, left = backend._store_result, [UnavailableError("away")]

    def away_once(*arguments: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return store(*arguments, **options)

    backend._store_result = away_once
    backend.store_result("again", 1, "SUCCESS")


def main(role: str) -> None:
    """Play *role*."""
    Record(os.environ["RECORD"]).watch(without="" if role == "alone" else "setup_logging")
    app = application()
    if role == "worker":
        scaling = ["--autoscale", "2,2"] if os.environ["POOL"] == "prefork" else []
        words = ["worker", "--pool", os.environ["POOL"], "--beat", "--loglevel", "WARNING", "--tenant", "t2"]
        app.start([*words, *scaling])
    elif role == "beat":
        app.start(["beat", "--loglevel", "WARNING"])
    else:
        {"produce": produce, "alone": alone}[role](app)


if __name__ == "__main__":
    main(sys.argv[1])
