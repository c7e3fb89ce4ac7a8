"""A worker around a task: signals, tracers, coroutines, chords under stress, acknowledgement."""

import asyncio
import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from celery import chain, chord, signals
from celery.app import trace
from celery.exceptions import WorkerLostError
from kombu.exceptions import OperationalError

import capa_celery
from capa_celery._worker import _execution
from capa_celery._worker._pool import SHORT_S
from capa_core import PubSub, Runtime, default_runtime, use_runtime
from capa_core.errors import PermissionDeniedError, UnavailableError

QUICK = {"timeout": 10}


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_coroutine_is_run_to_its_end(memory_app: Any, serving: Any, pool: str) -> None:
    loops = []

    @memory_app.task(name="double", shared=False)
    async def double(number: int) -> int:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return 2 * number

    with serving(memory_app, pool=pool, concurrency=1):
        results = [double.delay(number).get(**QUICK) for number in (1, 2)]

    assert ([2, 4], 1) == (results, len(set(loops)))


def test_a_coroutine_function_stays_one_for_its_direct_callers(memory_app: Any) -> None:
    @memory_app.task(name="direct", shared=False)
    async def direct() -> str:
        return "awaited"

    assert asyncio.run(direct()) == "awaited"


def test_sys_exit_ends_the_task_and_not_the_worker(memory_app: Any, serving: Any) -> None:
    with serving(memory_app):
        with pytest.raises(WorkerLostError, match="SystemExit"):
            memory_app.tasks["quit"].delay().get(**QUICK)

        assert memory_app.tasks["add"].delay(1, 1).get(**QUICK) == 2


class StoppedError(BaseException):
    """An error of the application's own that `except Exception` must not catch."""


@pytest.mark.parametrize("pool", ["solo", "threads"])
@pytest.mark.parametrize("kind", [asyncio.CancelledError, StoppedError, SystemExit, KeyboardInterrupt])
def test_a_task_that_raises_no_exception_fails_with_it_and_is_logged(
    memory_app: Any, serving: Any, caplog: pytest.LogCaptureFixture, pool: str, kind: type[BaseException]
) -> None:
    failed: list[object] = []
    caplog.set_level(logging.ERROR, "celery.worker.request")

    @memory_app.task(name="stopped", shared=False)
    def stopped() -> None:
        raise kind("inner")

    def note(exception: object, **_: Any) -> None:
        failed.append(exception)

    signals.task_failure.connect(note)
    with serving(memory_app, pool=pool):
        result = stopped.delay()
        error = result.get(propagate=False, **QUICK)
    signals.task_failure.disconnect(note)
    leaving = kind in (SystemExit, KeyboardInterrupt)
    lines = [record for record in caplog.records if "raised error" in record.message]

    assert ("FAILURE", WorkerLostError if leaving else kind) == (result.state, type(error))
    assert (1, 1, "ERROR") == (len(failed), len(lines), lines[0].levelname)


def test_the_signals_of_a_task_come_in_order(memory_app: Any, serving: Any) -> None:
    seen: list[str] = []
    names = ("task_received", "task_prerun", "task_success", "task_failure", "task_retry", "task_postrun")
    receivers = {name: (lambda name=name, **_: seen.append(name)) for name in names}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver, weak=False)
    try:
        with serving(memory_app):
            memory_app.tasks["add"].delay(1, 1).get(**QUICK)
            memory_app.tasks["fail"].delay("x").get(propagate=False, **QUICK)
            memory_app.tasks["retry"].delay(1).get(**QUICK)
    finally:
        for name, receiver in receivers.items():
            getattr(signals, name).disconnect(receiver)

    assert [
        *("task_received", "task_prerun", "task_success", "task_postrun"),
        *("task_received", "task_prerun", "task_failure", "task_postrun"),
        *("task_received", "task_prerun", "task_retry", "task_postrun"),
        *("task_received", "task_prerun", "task_success", "task_postrun"),
    ] == seen


def test_a_replaced_tracer_is_used(memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[str] = []
    original = trace.build_tracer

    def build_tracer(name: str, *args: Any, **options: Any) -> Any:
        run = original(name, *args, **options)

        def traced_run(*arguments: Any, **more: Any) -> Any:
            traced.append(name)
            return run(*arguments, **more)

        return traced_run

    monkeypatch.setattr(trace, "build_tracer", build_tracer)
    with serving(memory_app):
        memory_app.tasks["add"].delay(1, 1).get(**QUICK)

    assert traced == ["add"]


def test_many_chords_at_once_each_send_one_body(memory_app: Any, serving: Any) -> None:
    bodies: list[int] = []
    lock = threading.Lock()

    @memory_app.task(name="body", shared=False)
    def body(numbers: list[int]) -> int:
        with lock:
            bodies.append(numbers[0])
        return sum(numbers)

    add = memory_app.tasks["add"]
    with serving(memory_app, pool="threads", concurrency=8):
        results = [chord(add.s(number, part) for part in range(25))(body.s()) for number in range(12)]
        sums = [result.get(timeout=40) for result in results]

    assert [25 * number + sum(range(25)) for number in range(12)] == sums
    assert list(range(12)) == sorted(bodies)


def test_a_part_that_returns_twice_neither_hurries_nor_repeats_the_body(memory_app: Any) -> None:
    backend = memory_app.backend
    body = memory_app.signature("total").clone(task_id="the-body")
    backend.set_chord_size("g", 2)

    def part(index: int) -> None:
        request = SimpleNamespace(group="g", id=f"part{index}", group_index=index, chord=dict(body))
        backend.on_chord_part_return(request, "SUCCESS", index)

    depths = []
    for index in (0, 0, 1, 1, 0):
        part(index)
        depths.append(default_runtime().pubsub("celery").depth("celery", "celery"))

    assert [0, 0, 1, 1, 1] == depths


def test_a_chord_survives_a_store_that_is_away_when_a_part_returns(
    memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend_type = type(memory_app.backend)
    store_part, refusals = backend_type._store_part, iter([UnavailableError("away")])

    def refuse_once(self: Any, *args: Any) -> Any:
        if refusal := next(refusals, None):
            raise refusal
        return store_part(self, *args)

    monkeypatch.setattr(backend_type, "_store_part", refuse_once)
    monkeypatch.setattr(_execution, "SETTLE_AGAIN_S", 0.05)
    add, total = memory_app.tasks["add"], memory_app.tasks["total"]
    with serving(memory_app):
        result = chord([add.s(1, 1), add.s(2, 2)])(total.s())

        assert 6 == result.get(**QUICK)


def test_a_chain_survives_a_broker_that_is_away_when_its_next_task_is_sent(
    memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, refusals = PubSub.publish, iter([UnavailableError("away")])

    def refuse_once(self: Any, topic: str, data: bytes, **options: Any) -> Any:
        if b"(3, 3)" in data and (refusal := next(refusals, None)):
            raise refusal
        return original(self, topic, data, **options)

    monkeypatch.setattr(PubSub, "publish", refuse_once)
    monkeypatch.setattr(_execution, "SETTLE_AGAIN_S", 0.05)
    memory_app.conf.task_publish_retry = False
    add = memory_app.tasks["add"]
    with serving(memory_app):
        assert 6 == chain(add.s(1, 2), add.s(3)).apply_async().get(**QUICK)


def test_a_chord_survives_a_broker_that_is_away_when_its_body_is_sent(
    memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, refusals = PubSub.publish, iter([UnavailableError("away")])

    def refuse_once(self: Any, topic: str, data: bytes, **options: Any) -> Any:
        if b'"task": "total"' in data and (refusal := next(refusals, None)):
            raise refusal
        return original(self, topic, data, **options)

    monkeypatch.setattr(PubSub, "publish", refuse_once)
    monkeypatch.setattr(_execution, "SETTLE_AGAIN_S", 0.05)
    memory_app.conf.task_publish_retry = False
    add, total = memory_app.tasks["add"], memory_app.tasks["total"]
    with serving(memory_app):
        result = chord([add.s(1, 1), add.s(2, 2)])(total.s())

        assert (6, None) == (result.get(**QUICK), next(refusals, None))


def test_a_task_whose_successor_nobody_will_take_fails_and_does_not_run_again(
    memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PubSub.publish

    def refuse(self: Any, topic: str, data: bytes, **options: Any) -> Any:
        if b"(3, 3)" in data:
            raise PermissionDeniedError("not yours")
        return original(self, topic, data, **options)

    monkeypatch.setattr(PubSub, "publish", refuse)
    add = memory_app.tasks["add"]
    with serving(memory_app):
        first = chain(add.s(1, 2), add.s(3)).apply_async().parent

        with pytest.raises(OperationalError, match="not yours"):
            first.get(**QUICK)


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_task_of_some_length_is_settled_before_the_next_begins(
    memory_app: Any, serving: Any, pool: str
) -> None:
    depths: list[int] = []

    @memory_app.task(name="look", shared=False)
    def look() -> None:
        depths.append(default_runtime().pubsub("celery").depth("celery", "celery"))
        time.sleep(SHORT_S)

    results = [look.delay() for _ in range(3)]
    with serving(memory_app, pool=pool, concurrency=1):
        for result in results:
            result.get(**QUICK)

    assert [3, 2, 1] == depths


@pytest.mark.parametrize(("early", "left"), [(True, 0), (False, 1)])
def test_early_acks_remove_the_message_before_the_task(
    make_tasks: Any, serving: Any, early: bool, left: int
) -> None:
    settings = {"adapters": {"celery": {"early_acks": early}}}
    begun, go_on, depths = threading.Event(), threading.Event(), []
    with use_runtime(Runtime.in_memory(settings)):
        app = make_tasks(capa_celery.Celery)

        @app.task(name="wait", shared=False)
        def wait() -> None:
            begun.set()
            go_on.wait(10)

        with serving(app, pool="threads", concurrency=1):
            result = wait.delay()
            begun.wait(10)
            depths.append(default_runtime().pubsub("celery").depth("celery", "celery"))
            go_on.set()
            result.get(**QUICK)

    assert depths == [left]
