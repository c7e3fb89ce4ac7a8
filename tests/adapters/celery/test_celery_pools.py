"""Real worker processes of each kind, on the embedded default and on Redis."""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from capa_celery._worker.prefork import _wire

POOLS = ["solo", "threads", "prefork"]
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
    thread.join()
"""


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_process_runs_tasks_and_keeps_results(project: Any, pool: str) -> None:
    with project.worker("-P", pool, "-c", "2"):
        results = [project.app.tasks["proj.add"].delay(number, 1) for number in range(20)]

        assert [number + 1 for number in range(20)] == [result.get(timeout=20) for result in results]


@pytest.mark.parametrize("pool", POOLS)
def test_a_chord_gives_its_body_the_results_in_order(project: Any, pool: str) -> None:
    from celery import chord

    tasks = project.app.tasks
    with project.worker("-P", pool, "-c", "2"):
        body = chord(tasks["proj.add"].s(number, 0) for number in range(20))(tasks["proj.total"].s())

        assert sum(range(20)) == body.get(timeout=20)


@pytest.mark.parametrize("pool", POOLS)
def test_sigterm_finishes_what_runs_and_leaves_the_rest(project: Any, pool: str) -> None:
    with project.worker("-P", pool, "-c", "1") as worker:
        for name in ("a", "b", "c"):
            project.app.tasks["proj.mark"].delay(name, 1.5)
        project.wait_for_notes(1)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(20)
        waiting = project.depth()

    assert (0, ["begin a", "end a"], 2) == (code, project.notes(), waiting)


def test_sigquit_ends_at_once_and_hands_everything_back(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "2") as worker:
        project.app.tasks["proj.mark"].delay("long", 60)
        project.wait_for_notes(1)
        worker.send_signal(signal.SIGQUIT)
        worker.wait(20)

        assert (1, ["begin long"]) == (project.depth(), project.notes())


def test_a_soft_time_limit_raises_in_the_task(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1"):
        outcome = project.app.tasks["proj.soft"].delay(20).get(timeout=20)

    assert outcome == "interrupted"


def test_a_hard_time_limit_ends_the_process_and_not_the_pool(project: Any) -> None:
    from celery.exceptions import TimeLimitExceeded

    with project.worker("-P", "prefork", "-c", "1"):
        result = project.app.tasks["proj.hard"].delay(30)
        with pytest.raises(TimeLimitExceeded):
            result.get(timeout=20)

        assert project.app.tasks["proj.add"].delay(1, 1).get(timeout=20) == 2


def test_a_task_whose_process_dies_runs_again(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1"):
        assert project.app.tasks["proj.die_once"].delay().get(timeout=20) == "survived"


def test_a_task_that_always_kills_its_process_fails_in_the_end(project: Any) -> None:
    from celery.exceptions import WorkerLostError

    with project.worker("-P", "prefork", "-c", "1"):
        with pytest.raises(WorkerLostError):
            project.app.tasks["proj.die_always"].delay().get(timeout=30)

        assert ["begin die"] * 3 == project.notes()


def test_children_are_replaced_after_so_many_tasks(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1", "--max-tasks-per-child", "2"):
        processes = [project.app.tasks["proj.mark"].delay(str(number)).get(timeout=20) for number in range(4)]

    assert processes[0] == processes[1] != processes[2] == processes[3]


def test_a_large_message_reaches_a_child(project: Any) -> None:
    text = "x" * 500_000
    with project.worker("-P", "prefork", "-c", "2"):
        assert len(project.app.tasks["proj.add"].delay(text, "y").get(timeout=20)) == 500_001


def test_tasks_waiting_behind_a_long_one_go_to_another_worker(project: Any) -> None:
    with project.worker("-P", "solo", "-n", "first@%h"):
        project.app.tasks["proj.mark"].delay("long", 8)
        project.wait_for_notes(1)
        short = [project.app.tasks["proj.mark"].delay(f"short{number}") for number in range(3)]
        time.sleep(0.5)
        with project.worker("-P", "solo", "-n", "second@%h"):
            for result in short:
                result.get(timeout=6)

            assert "end long" not in project.notes()


def test_a_task_longer_than_the_lease_runs_once(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "2", lease_s=1):
        project.app.tasks["proj.mark"].delay("long", 4).get(timeout=20)
        time.sleep(1.5)

    assert ["begin long", "end long"] == project.notes()


def test_an_eta_task_runs_once_and_not_early(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "2", lease_s=1):
        start = time.monotonic()
        project.app.tasks["proj.mark"].apply_async(("later",), countdown=3).get(timeout=20)
        took = time.monotonic() - start
        time.sleep(1.5)

    assert (True, ["begin later", "end later"]) == (2.9 <= took < 6, project.notes())


def test_the_original_command_line_starts_it(project: Any) -> None:
    with project.worker("-P", "solo", program=("celery",)):
        assert project.app.tasks["proj.add"].delay(1, 1).get(timeout=20) == 2


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
