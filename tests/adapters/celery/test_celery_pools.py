"""Real worker processes of each kind, on the embedded default and on Redis."""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from celery import chord
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery_engines import REDIS, in_every_pool, on_one_engine
from celery_fleet import PATIENCE_S

from capa_celery._worker.prefork import _wire

pytestmark = pytest.mark.timeout(120)

POOLS = ["solo", "threads", "prefork"]
LEASE_S = 2
LOADING = """
from celery.signals import worker_process_init

@worker_process_init.connect
def load(**_):
    while "LOADS" in os.environ and not Path("loaded").exists():
        time.sleep(0.05)
"""
PROGRAM = """
import signal, sys, threading
from proj import app

worker = app.WorkController(app=app, pool=sys.argv[1], concurrency=1, hostname="embedded@here")
signal.signal(signal.SIGUSR1, lambda *_: worker.stop())
signal.signal(signal.SIGUSR2, lambda *_: worker.terminate())
if sys.argv[2] == "main":
    worker.start()
else:
    thread = threading.Thread(target=worker.start)
    thread.start()
    while thread.is_alive():  # a signal that the kernel hands to another thread does not wake this one to handle it
        thread.join(0.1)
"""


@in_every_pool("project", REDIS)
def test_a_worker_process_serves(project: Any, pool: str) -> None:
    with project.worker("-P", pool, "-c", "2", lease_s=LEASE_S):
        for what in (*IN_EACH_POOL, *(IN_PREFORK if pool == "prefork" else ())):
            what(project, project.app.tasks)


def tasks_run_and_results_are_kept(_project: Any, tasks: Any) -> None:
    results = [tasks["proj.add"].delay(number, 1) for number in range(20)]

    assert [number + 1 for number in range(20)] == [result.get(timeout=20) for result in results]


def a_chord_gives_its_body_the_results_in_order(_project: Any, tasks: Any) -> None:
    body = chord(tasks["proj.add"].s(number, 0) for number in range(20))(tasks["proj.total"].s())

    assert sum(range(20)) == body.get(timeout=20)


def a_task_longer_than_the_lease_and_one_with_an_eta_run_once(project: Any, tasks: Any) -> None:
    start = time.monotonic()
    later = tasks["proj.mark"].apply_async(("later",), countdown=LEASE_S + 1)
    long = tasks["proj.mark"].delay("long", 2 * LEASE_S)
    later.get(timeout=20)
    took = time.monotonic() - start
    long.get(timeout=20)
    time.sleep(LEASE_S)

    assert ["begin later", "begin long", "end later", "end long"] == sorted(project.notes())
    assert LEASE_S + 0.9 <= took


def a_soft_time_limit_raises_in_the_task(_project: Any, tasks: Any) -> None:
    assert "interrupted" == tasks["proj.soft"].delay(20).get(timeout=20)


def a_hard_time_limit_ends_the_process_and_not_the_pool(_project: Any, tasks: Any) -> None:
    result = tasks["proj.hard"].delay(30)
    with pytest.raises(TimeLimitExceeded):
        result.get(timeout=20)

    assert 2 == tasks["proj.add"].delay(1, 1).get(timeout=20)


def a_task_whose_process_dies_runs_again(_project: Any, tasks: Any) -> None:
    assert "survived" == tasks["proj.die_once"].delay().get(timeout=20)


def a_task_that_always_kills_its_process_fails_in_the_end(project: Any, tasks: Any) -> None:
    with pytest.raises(WorkerLostError):
        tasks["proj.die_always"].delay().get(timeout=30)

    assert 3 == project.notes().count("begin die always")


def a_large_message_reaches_a_child(_project: Any, tasks: Any) -> None:
    assert 500_001 == len(tasks["proj.add"].delay("x" * 500_000, "y").get(timeout=20))


IN_EACH_POOL = (tasks_run_and_results_are_kept, a_chord_gives_its_body_the_results_in_order)
IN_PREFORK = (
    a_task_longer_than_the_lease_and_one_with_an_eta_run_once,
    a_soft_time_limit_raises_in_the_task,
    a_hard_time_limit_ends_the_process_and_not_the_pool,
    a_task_whose_process_dies_runs_again,
    a_task_that_always_kills_its_process_fails_in_the_end,
    a_large_message_reaches_a_child,
)


@in_every_pool("project", REDIS)
def test_sigterm_finishes_running_tasks_and_leaves_the_others(project: Any, pool: str) -> None:
    with project.worker("-P", pool, "-c", "1") as worker:
        for name in ("a", "b", "c"):
            project.app.tasks["proj.mark"].delay(name, 1.5)
        project.wait_for_notes(1)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(20)
        waiting = project.depth()

    assert (0, ["begin a", "end a"], 2) == (code, project.notes(), waiting)


def test_sigquit_ends_at_once_and_releases_all_messages(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "2") as worker:
        project.app.tasks["proj.mark"].delay("long", 60)
        project.wait_for_notes(1)
        worker.send_signal(signal.SIGQUIT)
        worker.wait(20)

        assert (1, ["begin long"]) == (project.depth(), project.notes())


@on_one_engine("project")
@pytest.mark.parametrize("pool", POOLS)
def test_a_soft_shutdown_lets_tasks_end(project: Any, pool: str) -> None:
    with soft_worker(project, pool, timeout_s=8) as worker:
        for name in ("a", "b", "c"):
            project.app.tasks["proj.mark"].delay(name, 1.5)
        project.wait_for_notes(1)
        worker.send_signal(signal.SIGTERM)
        worker.wait(7)

    assert (["begin a", "end a"], 2) == (project.notes(), project.depth())


@on_one_engine("project")
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_soft_shutdown_ends_with_its_time(project: Any, pool: str) -> None:
    with soft_worker(project, pool, timeout_s=1) as worker:
        project.app.tasks["proj.mark"].delay("long", 60)
        project.wait_for_notes(1)
        worker.send_signal(signal.SIGTERM)
        worker.wait(10)

    assert (["begin long"], 1) == (project.notes(), project.depth())


def soft_worker(project: Any, pool: str, timeout_s: float) -> Any:
    """Run a worker whose SIGTERM is a SIGQUIT, as in a container, and which gives tasks *timeout_s* then."""
    settings = f"from proj import app\napp.conf.worker_soft_shutdown_timeout = {timeout_s}\n"
    (project.folder / "soft.py").write_text(settings)
    project.environment["REMAP_SIGTERM"] = "SIGQUIT"
    return project.worker("-P", pool, "-c", "1", application="soft")


@on_one_engine("project")
def test_children_are_replaced_after_so_many_tasks(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1", "--max-tasks-per-child", "2"):
        processes = [project.app.tasks["proj.mark"].delay(str(number)).get(timeout=20) for number in range(4)]

    assert processes[0] == processes[1] != processes[2] == processes[3]


@on_one_engine("project")
def test_a_child_that_has_grown_too_large_is_replaced(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1", "--max-memory-per-child", "1") as worker:
        processes = [project.app.tasks["proj.mark"].delay(str(number)).get(timeout=20) for number in range(2)]
        project.wait_for_log(worker, b"child process exiting after exceeding memory limit (")

    assert processes[0] != processes[1]


@on_one_engine("project")
def test_the_signal_before_a_process_is_made_comes_once_for_each(project: Any) -> None:
    code = """
from celery import signals
from proj import app, note

@signals.worker_before_create_process.connect(weak=False)
def announce(sender, **_): note("before")

@signals.task_received.connect(weak=False)
def receive(sender, request, **_): note(f"received by {type(sender).__name__}")
"""
    (project.folder / "announced.py").write_text(code)
    with project.worker("-P", "prefork", "-c", "2", "--max-tasks-per-child", "1", application="announced"):
        first = project.notes()
        project.app.tasks["proj.add"].delay(1, 1).get(timeout=20)
        project.wait_for_notes(4)

    assert (["before"] * 2, ["before"] * 3, 1) == (
        first,
        [line for line in project.notes() if line == "before"],
        project.notes().count("received by Consumer"),
    )


@on_one_engine("project")
@pytest.mark.parametrize(("words", "shown"), [((), "task events: OFF"), (("-E",), "task events: ON")])
def test_the_banner_states_whether_events_are_sent(project: Any, words: tuple[str, ...], shown: str) -> None:
    with project.worker("-P", "solo", *words) as worker:
        assert shown in worker.log.read_text()


def test_tasks_waiting_behind_a_long_one_go_to_another_worker(project: Any) -> None:
    with project.worker("-P", "solo", "-n", "first@%h") as first:
        project.app.tasks["proj.mark"].delay("long", 60)
        project.wait_for_notes(1)
        short = [project.app.tasks["proj.mark"].delay(f"short{number}") for number in range(3)]
        time.sleep(0.5)
        with project.worker("-P", "solo", "-n", "second@%h"):
            for result in short:
                result.get(timeout=30)

            assert "end long" not in project.notes()
        first.kill()


@on_one_engine("project")
def test_a_worker_takes_no_tasks_before_a_process_is_there_for_them(project: Any) -> None:
    """A process may load a model for longer than a lease, while other workers wait for tasks."""
    (project.folder / "proj.py").write_text((project.folder / "proj.py").read_text() + LOADING)
    project.environment["LOADS"] = "1"
    with project.worker("-P", "prefork", "-c", "1", "-n", "first@%h"):
        results = [project.app.tasks["proj.add"].delay(number, 1) for number in range(3)]
        del project.environment["LOADS"]
        with project.worker("-P", "prefork", "-c", "1", "-n", "second@%h"):
            sums = [result.get(timeout=PATIENCE_S) for result in results]
        (project.folder / "loaded").touch()

    assert [1, 2, 3] == sums


@on_one_engine("project")
def test_the_original_command_line_starts_it(project: Any) -> None:
    with project.worker("-P", "solo", program=("celery",)):
        assert project.app.tasks["proj.add"].delay(1, 1).get(timeout=20) == 2


@on_one_engine("project")
@pytest.mark.parametrize("where", ["thread", "main"])
@pytest.mark.parametrize("pool", POOLS)
def test_a_program_may_stop_its_worker_from_a_signal_handler(project: Any, pool: str, where: str) -> None:
    with project.process([sys.executable, "-c", PROGRAM, pool, where], lease_s=60) as program:
        for name in ("a", "b", "c"):
            project.app.tasks["proj.mark"].delay(name, 1.5)
        project.wait_for_notes(1)
        program.send_signal(signal.SIGUSR1)
        code = program.wait(20)

    assert (0, ["begin a", "end a"], 2) == (code, project.notes(), project.depth())


@on_one_engine("project")
def test_a_program_may_terminate_its_prefork_worker(project: Any) -> None:
    with project.process([sys.executable, "-c", PROGRAM, "prefork", "thread"], lease_s=60) as program:
        project.app.tasks["proj.mark"].delay("long", 60)
        project.wait_for_notes(1)
        program.send_signal(signal.SIGUSR2)
        code = program.wait(20)
    with project.worker("-P", "prefork", "-c", "1", lease_s=60) as worker:
        project.wait_for_notes(2)
        worker.send_signal(signal.SIGQUIT)

    assert (0, ["begin long", "begin long"]) == (code, project.notes())


def test_children_wait_for_tasks_without_end_while_another_worker_of_the_process_ends() -> None:
    socket.setdefaulttimeout(5.0)  # as Celery does meanwhile
    try:
        ends = _wire.pair()
    finally:
        socket.setdefaulttimeout(None)
    timeouts = [end.gettimeout() for end in ends]
    for end in ends:
        end.close()

    assert [None, None] == timeouts


def test_tasks_that_no_process_is_left_to_run_come_to_another_worker(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1") as first:
        project.app.tasks["proj.mark"].delay("long", 60)
        project.wait_for_notes(1)
        for pid in descendants(first.pid):  # first the one that would fork others
            os.kill(pid, signal.SIGKILL)
        with project.worker("-P", "prefork", "-c", "1") as second:
            project.wait_for_notes(2)
            second.kill()
        first.kill()

    assert ["begin long"] * 2 == project.notes()


def descendants(pid: int) -> list[int]:
    """Return the processes below *pid*, parents first."""
    below = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return below + [deeper for child in below for deeper in descendants(child)]
