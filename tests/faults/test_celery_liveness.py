"""Each thread and process of a worker fails or is stopped: the tasks are done, or the worker ends and says why."""

import os
import signal
import time

import pytest
from celery_engines import on_one_engine
from celery_fleet import PATIENCE_S, Fleet, app, children, only_child, zygote

pytestmark = pytest.mark.timeout(120)
TASKS = 30
STOPPED_S = 5
"""After so long a stopped process is killed."""
STRIKES = """
import importlib
import os

def strike(path, times, after=False):
    module, _, name = path.partition(":")
    owner = importlib.import_module(module)
    *outer, last = name.split(".")
    for each in outer:
        owner = getattr(owner, each)
    real = getattr(owner, last)

    def struck(*args, **kwargs):
        value = real(*args, **kwargs) if after else None
        if after and not value:
            return value
        for number in range(times):  # over all processes, also those that are forked later
            try:
                os.close(os.open(f"{last}-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            raise RuntimeError(f"struck in {path}")
        return value if after else real(*args, **kwargs)

    setattr(owner, last, struck)

"""
WORKER = "capa_celery._worker"
POOL = f"{WORKER}.prefork._pool:PreforkPool"
ZYGOTE = f"{WORKER}.prefork._zygote:Zygote"
CHILD = f"{WORKER}.prefork._child:Child"
CONSUMER = f"{WORKER}._consumer:Consumer"
LOCAL = f"{WORKER}._local:LocalPool"
OUTBOX = "capa_celery._outbox:Outbox"
LEASES = "capa_core.blocks.pubsub._leases:Leases"
SERVED = {
    "prefork reports": [f"{POOL}.{name}" for name in ("_handle", "_on_up", "_on_done", "_on_down")],
    "prefork census": [f"{WORKER}.prefork._missing:MissingJobs.mark_read"],
    "prefork child": [f"{CHILD}.{name}" for name in ("run", "_next_packet", "_serve", "_is_still_ours")],
    "prefork results": [f"{CHILD}._report", f"{OUTBOX}.flush", f"{OUTBOX}._store_gathered"],
    "prefork intake": [f"{CONSUMER}._take", f"{CONSUMER}._room", f"{POOL}.put"],
    "prefork renewer": [f"{LEASES}.renew", f"{CONSUMER}._worked_on", f"{POOL}.is_alive", f"{LEASES}._extend"],
    "prefork watches": [f"{POOL}.busy_since", "capa_celery._revoked:RevocationWatch._watch"],
    "threads tasks": [f"{LOCAL}.{name}" for name in ("_next", "_rest", "_serve_one", "put")],
    "threads results": [
        f"{LOCAL}._settle",
        f"{WORKER}._jobs:Jobs.settle",
        f"{OUTBOX}.flush",
        f"{OUTBOX}.done",
    ],
    "solo intake": [f"{CONSUMER}._take", f"{LEASES}.renew"],
}
ENDED = [
    ("prefork", f"{POOL}._tick", 1),
    ("prefork", f"{ZYGOTE}._fork", 1),
    ("prefork", f"{POOL}._on_down", 1000),
    ("solo", f"{LOCAL}._serve_one", 1),
]
IN_HAND = [
    ("threads", f"{LOCAL}._next"),
    ("threads", f"{LOCAL}.take_back"),
    ("solo", f"{LOCAL}.take_back"),
    ("prefork", f"{POOL}.take_back"),
]
OFTEN = f"""
from {WORKER} import _census
_census.CENSUS_S = 0.5
"""


def strike(fleet: Fleet, *paths: str, times: int = 1, after: bool = False) -> None:
    """Have workers that start from now on raise in each of the functions, as often as *times*.

    With *after* they raise when the function has done its work and would return something.
    """
    module = fleet.folder / "killed.py"
    calls = "".join(f"strike({path!r}, {times}, {after})\n" for path in paths)
    module.write_text(f"{STRIKES}{module.read_text()}\n{calls}")


def struck(fleet: Fleet) -> set[str]:
    return {file.name.removesuffix("-0") for file in fleet.folder.glob("*-0")}


def log(fleet: Fleet) -> str:
    return (fleet.folder / "log").read_text()


@on_one_engine("fleet")
@pytest.mark.parametrize("place", SERVED)
def test_a_failure_in_a_worker_strands_no_task(fleet: Fleet, place: str) -> None:
    strike(fleet, *SERVED[place])
    work = app().tasks["killed.work"]
    results = [work.delay(number) for number in range(TASKS)]
    end = time.monotonic() + 40
    with fleet.worker("-P", place.split(maxsplit=1)[0], "-c", "2", "--max-tasks-per-child", "5") as worker:
        while len(struck(fleet)) < len(SERVED[place]):
            assert time.monotonic() < end, struck(fleet)
            results.append(work.delay(len(results), 0.1))
            time.sleep(0.1)
        values = [result.get(timeout=PATIENCE_S) for result in results]
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(PATIENCE_S)

    assert (0, list(range(len(results)))) == (code, values)


@on_one_engine("fleet")
@pytest.mark.parametrize(("pool", "path"), IN_HAND)
def test_a_failure_with_tasks_in_hand_strands_none(fleet: Fleet, pool: str, path: str) -> None:
    strike(fleet, path, after=True)
    fleet.add_code(OFTEN)
    work = app().tasks["killed.work"]
    with fleet.worker("-P", pool, "-c", "1", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        results = [work.delay(number, 0.01 if number else 2.5) for number in range(4)]
        values = [result.get(timeout=PATIENCE_S) for result in results]
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(PATIENCE_S)

    assert (0, list(range(4))) == (code, values)
    assert "tasks are with no" in log(fleet)


@on_one_engine("fleet")
@pytest.mark.parametrize(("pool", "path", "times"), ENDED)
def test_a_worker_that_cannot_go_on_ends_and_says_why(fleet: Fleet, pool: str, path: str, times: int) -> None:
    module = (fleet.folder / "killed.py").read_text()
    strike(fleet, path, times=times)
    work = app().tasks["killed.work"]
    results = [work.delay(number) for number in range(TASKS)]
    with fleet.worker("-P", pool, "-c", "2", "--max-tasks-per-child", "5") as worker:
        code = worker.wait(PATIENCE_S)
    (fleet.folder / "killed.py").write_text(module)
    with fleet.worker("-P", "threads"):
        values = [result.get(timeout=PATIENCE_S) for result in results]

    assert 1 == code
    assert f"struck in {path}" in log(fleet)
    assert list(range(TASKS)) == values


def test_the_tasks_of_a_stopped_process_run_again(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "2", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        for number in range(TASKS):
            work.delay(number, 0.1)
        fleet.wait_until(4)
        stopped = children(worker.pid)[0]
        os.kill(stopped, signal.SIGSTOP)
        took = fleet.wait_until(TASKS)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(PATIENCE_S)

    assert 0 == code
    assert took < 40
    assert f"process {stopped} of the pool was stopped by a signal" in log(fleet)


@on_one_engine("fleet")
def test_a_worker_whose_forking_process_is_stopped_ends_and_says_why(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "2", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        stopped = zygote(worker.pid)
        os.kill(stopped, signal.SIGSTOP)
        code = worker.wait(STOPPED_S + 20)
    work.delay(1)
    with fleet.worker("-P", "solo"):
        fleet.wait_until(1)

    assert 1 == code
    assert f"process {stopped} of the pool was stopped by a signal" in log(fleet)


@on_one_engine("fleet")
@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_ends_while_its_forking_process_is_stopped(fleet: Fleet, name: signal.Signals) -> None:
    with fleet.worker("-P", "prefork", "-c", "2", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        os.kill(zygote(worker.pid), signal.SIGSTOP)
        worker.send_signal(name)
        worker.wait(STOPPED_S + 20)

        assert worker.returncode is not None


@on_one_engine("fleet")
def test_a_process_that_is_stopped_for_a_moment_is_left_alone(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    with fleet.worker("-P", "prefork", "-c", "1", "-l", "INFO") as worker:
        fleet.wait_until_ready(1)
        child = only_child(worker.pid)
        os.kill(child, signal.SIGSTOP)
        work.delay(1)
        time.sleep(2)
        os.kill(child, signal.SIGCONT)
        took = fleet.wait_until(1)

        assert [child] == children(worker.pid)
    assert took < 20


@on_one_engine("fleet")
def test_beat_in_a_worker_goes_on_after_failures(fleet: Fleet) -> None:
    strike(fleet, "capa_celery._beat:Scheduler.tick", "capa_celery._beat:Scheduler.sync")
    entry = {"task": "killed.total", "schedule": 0.5, "args": [[1]]}
    fleet.add_code(f"app.conf.beat_schedule = {{'each': {entry}}}\n")
    with fleet.worker("-B", "-P", "solo", "-l", "INFO") as worker:
        fleet.wait_for(lambda: {"tick", "sync"} == struck(fleet))
        before = fleet.ran()["total"]
        fleet.wait_for(lambda: fleet.ran()["total"] > before + 1)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(PATIENCE_S)

    assert 0 == code
