"""Autoscaling of prefork, and settings and options of a worker that have no effect: each is named in its log."""

from typing import Any

import pytest
from celery.worker.autoscale import Autoscaler
from celery_engines import on_one_engine

from capa_celery._worker._autoscale import numbers_of, over_capa
from capa_core.errors import UnsupportedError

pytestmark = pytest.mark.timeout(120)

HELD = """
import time
from pathlib import Path
from proj import app, note

@app.task(name="held", shared=False)
def held():
    note("begin")
    while not Path("go").exists():
        time.sleep(0.05)
"""


@on_one_engine("project")
def test_processes_come_with_tasks_and_go_without(project: Any) -> None:
    (project.folder / "holding.py").write_text(HELD)
    project.environment["AUTOSCALE_KEEPALIVE"] = "0.5"

    def figures() -> dict[str, Any]:
        found = project.app.control.inspect(timeout=20, limit=1).stats()
        return next(iter(found.values()))

    with project.worker("-P", "prefork", "--autoscale", "3,1", application="holding"):
        first = figures()["autoscaler"]
        for _ in range(4):
            project.app.send_task("held")
        project.wait_for_notes(3)
        busy = figures()["autoscaler"]
        too_many = project.app.control.autoscale(1000, 1, reply=True, limit=1, timeout=20)
        changed = project.app.control.autoscale(2, 1, reply=True, limit=1, timeout=20)
        (project.folder / "go").touch()
        project.wait_for_notes(4)
        project.wait_until(lambda: len(figures()["pool"]["processes"]) == 1)

    assert (1, 3) == (first["current"], busy["current"])
    assert 4 == len(project.notes())
    assert "may have 67" in str(too_many)
    assert "autoscale now max=2 min=1" in str(changed)


class Pool:
    """A pool that notes its number of processes."""

    def __init__(self) -> None:
        self.num_processes = 1

    def grow(self, n: int) -> None:
        self.num_processes += n

    def shrink(self, n: int) -> None:
        self.num_processes -= n

    def maintain_pool(self) -> None:
        pass


class Consumer:
    with_pool = 0


class Worker:
    consumer = Consumer()


class OneByOne(Autoscaler):  # type: ignore[misc] # celery is not typed
    """An autoscaler of an application."""

    def _maybe_scale(self, req: Any = None) -> Any:
        if self.qty > 10:
            raise RuntimeError("too much for me")
        if self.qty > self.processes:
            self.scale_up(1)
        return True


def test_an_autoscaler_of_the_application_asks_capas_worker(caplog: pytest.LogCaptureFixture) -> None:
    scaler = over_capa(OneByOne)(Pool(), 5, 1, worker=Worker())
    numbers = []
    for waiting in (0, 3, 3, 11):
        Worker.consumer.with_pool = waiting
        scaler.on_jobs()
        numbers.append(scaler.processes)

    assert [1, 2, 3, 3] == numbers
    assert "too much for me" in caplog.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10,3", (10, 3)),
        ("3,10", (10, 3)),
        ("10", (10, 1)),
        ("10,", (10, 1)),
        ([4, 0], (4, 1)),
        ((6,), (6, 1)),
    ],
)
def test_the_numbers_of_the_option(given: Any, expected: tuple[int, int]) -> None:
    assert expected == numbers_of(given)


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_options_that_hold_in_prefork_alone_are_named(
    memory_app: Any, caplog: pytest.LogCaptureFixture, pool: str
) -> None:
    memory_app.WorkController(pool=pool, max_memory_per_child=1, task_time_limit=9, autoscale="3,1")

    assert f"max_memory_per_child, time_limit: without effect in the pool {pool}" in caplog.text
    assert f"--autoscale has no effect in the pool {pool}" in caplog.text
    assert "Choose -P prefork" in caplog.text


def test_settings_without_effect_are_named_with_their_reason(
    memory_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    memory_app.conf.update(
        worker_consumer="mine:Consumer", worker_pool_restarts=False
    )  # the latter as by default
    memory_app.WorkController(pool="solo")

    assert (
        "worker_consumer = 'mine:Consumer' is without effect: the worker has a consumer of its own"
        in caplog.text
    )
    assert '`app.steps["worker"]`' in caplog.text
    assert "worker_pool_restarts" not in caplog.text


def test_a_plain_worker_is_warned_of_nothing(memory_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    memory_app.conf.worker_prefetch_multiplier = 1
    memory_app.WorkController(pool="prefork", max_tasks_per_child=5)

    assert "without effect" not in caplog.text


def test_pools_of_greenlets_are_refused(memory_app: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"'mine\.gevent'.*-P prefork, threads or solo.*celery/pools"):
        memory_app.WorkController(pool=type("TaskPool", (), {"__module__": "mine.gevent"}))
