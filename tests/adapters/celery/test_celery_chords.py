"""Chords: nested headers, added parts, failures, frozen ones, generators. Right values are those of Celery on Redis."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import celery
import pytest
from celery import chain, chord, group
from celery.contrib.testing.worker import start_worker
from celery.result import allow_join_result

import capa_celery
from capa_celery._outbox import Outbox
from capa_core import Runtime, default_runtime, use_runtime
from capa_core.conformance._pubsub.suite import eventually

QUICK = {"timeout": 10}
POOLS = ["solo", "threads"]
CHORDS = """
from proj import app

@app.task
def price(sku): return sku * 10

@app.task
def taxed(amount, rate): return amount + rate

@app.task
def collect(parts): return parts
"""


class NoStockError(Exception):
    """An error of the application's own."""


@pytest.fixture(params=POOLS, scope="module")
def served(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give an application that a worker serves."""
    with use_runtime(Runtime.in_memory()):
        app = capa_celery.Celery("chords", backend="cache+memory://", set_as_current=False)
        add_tasks(app)
        with start_worker(app, pool=request.param, concurrency=2, perform_ping_check=False):
            yield app


def add_tasks(app: Any) -> None:
    def task(**options: Any) -> Any:
        return app.task(shared=False, **options)

    @task(name="same")
    def same(value: Any) -> Any:
        return value

    @task(name="plus")
    def plus(value: int, other: int) -> int:
        return value + other

    @task(name="collect")
    def collect(parts: Any) -> Any:
        return parts

    @task(name="fail")
    def fail(*_: Any) -> None:
        raise NoStockError("no stock")

    @task(name="split", bind=True)
    def split(self: Any, value: int) -> int:
        self.add_to_chord(same.s(100))
        return value

    @task(name="own", bind=True)
    def own(self: Any) -> Any:
        self.backend.mark_as_done(self.request.id, "own", request=self.request)
        with allow_join_result():
            return self.AsyncResult(self.request.id).get(timeout=5), app.GroupResult(
                "group", [self.AsyncResult(self.request.id)]
            ).get(timeout=5)


def s(app: Any, name: str, *args: Any) -> Any:
    return app.tasks[name].s(*args)


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="it times out on old versions of Celery too")
def test_a_chain_that_ends_in_a_group_gives_its_body_a_list(served: Any) -> None:
    tail = chain(s(served, "same", 10), group(s(served, "plus", 1), s(served, "plus", 2)))
    flow = chord([tail, s(served, "same", 50)], s(served, "collect"))

    assert [[11, 12], 50] == flow().get(**QUICK)


def test_groups_in_groups_are_one_list_in_the_order_of_celery(served: Any) -> None:
    inner = group(s(served, "same", 1), group(s(served, "same", 2), s(served, "same", 3)))
    flow = chord(group(inner, s(served, "same", 4)), s(served, "collect"))

    assert [3, 2, 1, 4] == flow().get(**QUICK)


def test_a_task_may_wait_for_its_own_stored_result(served: Any) -> None:
    ident = served.tasks["own"].delay().id

    # The result that it stores itself is replaced by the one that it returns.
    assert eventually(lambda: ["own", ["own"]] == served.AsyncResult(ident).get(**QUICK))


def test_a_part_adds_parts_to_its_chord(served: Any) -> None:
    flow = chord([s(served, "split", 1), s(served, "same", 2)], s(served, "collect"))

    assert [1, 2, 100] == sorted(flow().get(**QUICK))


def test_only_a_part_of_a_chord_adds_to_it(served: Any) -> None:
    with pytest.raises(ValueError, match="not member of any chord"):
        served.tasks["split"].delay(1).get(**QUICK)


@pytest.mark.parametrize("nested", [False, True])
def test_the_error_of_a_failed_header_is_raised(served: Any, nested: bool) -> None:
    first = group(s(served, "same", 1), s(served, "same", 2)) if nested else s(served, "same", 1)
    result = chord([first, s(served, "fail")], s(served, "collect"))()

    with pytest.raises(NoStockError, match="no stock"):
        result.get(**QUICK)
    assert "ChordError" == type(result.get(propagate=False, **QUICK)).__name__


def test_a_frozen_chord_sends_its_body_each_time(served: Any) -> None:
    flow = chord([s(served, "same", 1), s(served, "same", 2)], s(served, "collect"))
    flow.freeze()
    values = [flow.apply_async().get(**QUICK)]
    served.backend._cache.clear()
    served.backend.forget(flow.body.id)
    values.append(flow.apply_async().get(**QUICK))

    assert [[1, 2]] * 2 == values


def test_a_frozen_signature_may_be_in_a_header_twice(served: Any) -> None:
    same = s(served, "same", 1)
    same.freeze()

    assert [1, 1] == chord([same, same], s(served, "collect"))().get(**QUICK)


def test_a_generator_as_header_is_not_read_ahead(served: Any) -> None:
    read: list[int] = []
    depths: list[int] = []

    def parts() -> Iterator[Any]:
        for number in range(5):
            read.append(number)
            depths.append(waiting())
            yield s(served, "same", number)

    def waiting() -> int:
        return default_runtime().pubsub("celery").depth("unserved", "celery")

    chord(parts(), s(served, "collect")).apply_async(queue="unserved")

    assert ([0, 1, 2, 3, 4], True) == (read, depths[-1] > 0)


def test_a_callback_sees_each_state(served: Any) -> None:
    seen: list[str] = []

    @served.task(name="load", bind=True, shared=False)
    def load(self: Any) -> str:
        for done in (10, 60):
            self.update_state(state="PROGRESS", meta={"done": done})
            time.sleep(0.3)
        return "loaded"

    result = load.delay()
    value = result.get(on_message=lambda meta: seen.append(meta["status"]), **QUICK)

    assert ("loaded", ["PROGRESS", "PROGRESS", "SUCCESS"]) == (value, seen)


def test_an_outbox_that_sends_reports_with_the_next_trip() -> None:
    with Runtime.in_memory() as runtime:
        reported: list[list[str]] = []
        outbox: Outbox[str] = Outbox(lambda: runtime.state("x"), reported.append)
        outbox.put("key", b"value", None)
        outbox.done("task")
        outbox.send()
        stored, before = runtime.state("x").get("key"), list(reported)
        outbox.flush()

    assert (b"value", [], [["task"]]) == (stored, before, reported)


def test_chords_of_groups_leave_no_child_waiting(project: Any) -> None:
    (project.folder / "chorded.py").write_text(CHORDS)
    command = ["-m", "capa_celery", "-A", "chorded", "worker", "-P", "prefork", "-c", "4", "-l", "INFO"]
    with project.process([sys.executable, *command]) as worker:
        project.wait_for_log(worker, b" ready.")
        tail = chain(sig("price", 1), group(sig("taxed", 1), sig("taxed", 2)))
        flows = [chord([tail, sig("price", 5)], sig("collect", app=project.app)) for _ in range(20)]
        values = [flow().get(timeout=20) for flow in flows]
        worker.terminate()

        assert ([[[11, 12], 50]] * 20, 0) == (values, worker.wait(10))


def sig(name: str, *args: Any, app: Any = None) -> Any:
    return capa_celery.signature(f"chorded.{name}", args, app=app)
