"""Workers in a thread of a program or a test, stopped by calls: as Celery's end, and without losing a message."""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from typing import Any

import celery
import pytest
from celery import bootsteps
from celery.result import _set_task_join_will_block

import capa_celery
from capa_core import PubSub, Runtime, default_runtime, use_runtime
from capa_core.errors import SettingsError, UnavailableError

POOLS = ["solo", "threads"]
ENDS = ["stop", "terminate"]
QUICK = {"timeout": 10, "disable_sync_subtasks": False}


class Held:
    """A task that runs until it is released, and a record of its runs."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen: list[str] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

        @app.task(name="held", shared=False)
        def run(name: str) -> str:
            self.seen.append(f"begin {name}")
            self.begun.set()
            self.go_on.wait(20)
            self.seen.append(f"end {name}")
            return name

        self.task = run

    def send(self, *names: str) -> list[Any]:
        """Send a task for each name, and return the results when the first has begun."""
        results = [self.task.delay(name) for name in names]
        assert self.begun.wait(20)
        return results


@contextmanager
def embedded(app: Any, pool: str) -> Iterator[tuple[Any, threading.Thread]]:
    """Run a worker in a thread, as a program would that has one of its own; it is ready when the block begins."""
    ready = threading.Event()
    app.set_default()
    worker = app.WorkController(
        app=app,
        pool=pool,
        concurrency=1,
        hostname="embedded@here",
        ready_callback=lambda _consumer: ready.set(),
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield worker, thread
    finally:
        worker.stop()
        thread.join(20)


@pytest.fixture(autouse=True)
def waiting_is_allowed_again() -> Iterator[None]:
    """A worker forbids its whole process to wait for results."""
    yield
    _set_task_join_will_block(False)


@pytest.fixture(params=[celery.Celery, capa_celery.Celery], ids=["celery", "capa"])
def either_app(request: pytest.FixtureRequest, make_tasks: Callable[[type], Any]) -> Iterator[Any]:
    """Give an application of each kind: one test with one expectation is a twin test then."""
    with use_runtime(Runtime.in_memory()):
        app = make_tasks(request.param)
        # All of Celery's applications in a process share one in-memory broker.
        app.conf.task_default_queue = request.node.name
        yield app


@pytest.mark.parametrize("pool", POOLS)
def test_stop_from_another_thread_finishes_running_tasks_and_begins_none(either_app: Any, pool: str) -> None:
    held = Held(either_app)
    with embedded(either_app, pool) as (worker, thread):
        results = held.send("a", "b", "c")
        stopper = threading.Thread(target=worker.stop)
        stopper.start()
        threading.Timer(0.5, held.go_on.set).start()
        for waiting in (stopper, thread):
            waiting.join(20)
        states = [result.state for result in results]

        assert (False, False) == (stopper.is_alive(), thread.is_alive())
        assert (["begin a", "end a"], ["SUCCESS", "PENDING", "PENDING"]) == (held.seen, states)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("pool", POOLS)
def test_an_idle_worker_ends_and_a_second_call_is_harmless(either_app: Any, pool: str, end: str) -> None:
    with embedded(either_app, pool) as (worker, thread):
        getattr(worker, end)()
        thread.join(20)
        for again in ENDS:
            getattr(worker, again)()

        assert not thread.is_alive()


def test_stop_does_not_wait_for_the_task_that_solo_runs(either_app: Any) -> None:
    held = Held(either_app)
    with embedded(either_app, "solo") as (worker, _):
        held.send("a")
        worker.stop()
        seen = list(held.seen)
        held.go_on.set()

    assert ["begin a"] == seen


@pytest.mark.parametrize("pool", POOLS)
def test_terminate_does_not_wait_for_tasks(either_app: Any, pool: str) -> None:
    held = Held(either_app)
    with embedded(either_app, pool) as (worker, _):
        held.send("a")
        worker.terminate()
        seen = list(held.seen)
        held.go_on.set()

    assert ["begin a"] == seen


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("pool", POOLS)
def test_tasks_that_were_not_begun_stay_for_the_next_worker(memory_app: Any, pool: str, end: str) -> None:
    held = Held(memory_app)
    with embedded(memory_app, pool) as (worker, thread):
        results = held.send("a", "b", "c")
        threading.Timer(0.5, held.go_on.set).start()
        getattr(worker, end)()
        thread.join(20)
    with embedded(memory_app, pool):
        values = [result.get(**QUICK) for result in results]

    assert (["a", "b", "c"], 0) == (values, depth())


@pytest.mark.parametrize("pool", POOLS)
def test_a_terminated_workers_task_runs_again_at_once(memory_app: Any, pool: str) -> None:
    held = Held(memory_app)
    with embedded(memory_app, pool) as (first, _):
        held.send("a")
        first.terminate()
        held.begun.clear()
        with embedded(memory_app, pool):
            again = held.begun.wait(10)
            held.go_on.set()

    assert (True, ["begin a", "begin a"]) == (again, held.seen[:2])


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_that_outlives_its_worker_keeps_to_the_workers_runtime(memory_app: Any, pool: str) -> None:
    held = Held(memory_app)
    with embedded(memory_app, pool) as (worker, server):
        (result,) = held.send("a")
        tasks = [thread for thread in threading.enumerate() if thread.name.startswith("capa-task")]
        worker.terminate()
        with use_runtime(Runtime.in_memory()) as later:
            held.go_on.set()
            for thread in (server, *tasks):
                thread.join(20)
            stored_later = later.state("celery").get(f"celery-task-meta-{result.id}")

    assert ("SUCCESS", None) == (result.state, stored_later)


@pytest.mark.parametrize("pool", POOLS)
def test_the_dead_letter_of_a_task_has_the_reason(
    memory_app: Any, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    # Only an engine's own limit gives up on tasks; this one stands for it.
    monkeypatch.setattr(PubSub, "intake", partialmethod(PubSub.intake, max_deliveries=1))
    done = threading.Event()

    @memory_app.task(name="hand_back", shared=False)
    def hand_back() -> None:
        done.set()
        raise celery.exceptions.Reject("no stock", requeue=True)

    with embedded(memory_app, pool):
        hand_back.delay()
        done.wait(20)
    (dead,) = default_runtime().pubsub("celery").dead_letters("celery")

    assert ("Reject", True) == (dead.reason.partition(":")[0], "no stock" in dead.reason)


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_may_stop_its_own_worker(memory_app: Any, pool: str) -> None:
    workers: list[Any] = []

    @memory_app.task(name="quit_worker", shared=False)
    def quit_worker() -> None:
        workers[0].stop()

    with embedded(memory_app, pool) as (worker, thread):
        workers.append(worker)
        result = quit_worker.delay()
        thread.join(20)

    assert (False, "SUCCESS", 0) == (thread.is_alive(), result.state, depth())


def test_a_step_may_stop_the_worker_before_it_has_begun(memory_app: Any) -> None:
    class Refuse(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:
            parent.stop()

    memory_app.steps["worker"].add(Refuse)
    worker = memory_app.WorkController(app=memory_app, pool="threads", concurrency=1)
    before = set(threading.enumerate())
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()
    thread.join(20)

    assert (False, set()) == (thread.is_alive(), set(threading.enumerate()) - before)


@pytest.mark.parametrize("error", [UnavailableError("away"), SettingsError("wrong")])
def test_a_worker_that_cannot_join_leaves_no_threads_when_it_ends(
    memory_app: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tried = threading.Event()

    def refuse(*_: object, **__: object) -> None:
        tried.set()
        raise error

    monkeypatch.setattr(PubSub, "intake", refuse)
    worker = memory_app.WorkController(app=memory_app, pool="threads", concurrency=1)
    before = set(threading.enumerate())
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()
    tried.wait(20)
    worker.stop()
    thread.join(20)

    assert (False, set()) == (thread.is_alive(), set(threading.enumerate()) - before)


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_must_not_wait_for_another(either_app: Any, pool: str) -> None:
    @either_app.task(name="wait", shared=False)
    def wait() -> None:
        either_app.tasks["add"].delay(1, 1).get(timeout=1)

    with embedded(either_app, pool), pytest.raises(RuntimeError, match="Never call result.get"):
        wait.delay().get(**QUICK)


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_that_came_after_the_start_is_served_after_a_reload(either_app: Any, pool: str) -> None:
    with embedded(either_app, pool) as (worker, _):

        @either_app.task(name="late", shared=False)
        def late() -> str:
            return "served"

        worker.reload()

        assert "served" == late.delay().get(**QUICK)


def test_a_worker_describes_itself(either_app: Any) -> None:
    with embedded(either_app, "solo") as (worker, _):
        stats = worker.stats()

    assert {"total", "pid", "clock", "uptime", "pool", "rusage"} <= stats.keys()


def depth(name: str = "celery") -> int:
    return default_runtime().pubsub("celery").depth(name, "celery")


class CallsItself(celery.Task):
    """A base class of tasks as monitoring libraries have it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("pool", POOLS)
def test_a_forked_child_that_comes_back_from_a_task_is_ended(
    make_tasks: Callable[[type], Any], pool: str
) -> None:
    statuses: queue.Queue[int] = queue.Queue()
    with use_runtime(Runtime.in_memory()):
        app = make_tasks(capa_celery.Celery)

        @app.task(name="forks", shared=False, ignore_result=True)
        def forks() -> None:
            if child := os.fork():
                statuses.put(os.waitpid(child, 0)[1])

        with embedded(app, pool):
            forks.delay()

            assert 1 == os.waitstatus_to_exitcode(statuses.get(timeout=30))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("called", [None, CallsItself], ids=["plain", "with __call__"])
@pytest.mark.parametrize("pool", POOLS)
def test_a_forked_child_that_comes_back_stores_and_sends_nothing(
    make_tasks: Callable[[type], Any], pool: str, called: type | None, tmp_path: Path
) -> None:
    """Its engine is shared by both processes: what the child stored, its parent would find."""
    seen: queue.Queue[tuple[int, str, int]] = queue.Queue()
    with use_runtime(Runtime(start=tmp_path)):
        app = make_tasks(capa_celery.Celery)

        @app.task(name="forks", bind=True, shared=False, base=called)
        def forks(self: Any) -> str:
            if not (child := os.fork()):
                return "child"
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            seen.put((status, app.AsyncResult(self.request.id).state, depth("follows")))
            return "parent"

        @app.task(name="follows", shared=False)
        def follows(result: str) -> None: ...

        with embedded(app, pool):
            result = forks.apply_async(link=follows.s().set(queue="follows"))

            assert (1, "PENDING", 0) == seen.get(timeout=30)
            assert "parent" == result.get(**QUICK)
            assert 1 == depth("follows")
