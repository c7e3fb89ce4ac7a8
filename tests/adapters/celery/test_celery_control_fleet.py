"""Remote control of worker processes: on each engine."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from celery.exceptions import TaskRevokedError
from celery_engines import on_every_engine, on_one_engine
from celery_fleet import PATIENCE_S, only_child

NODE = "one@here"


def ask(app: Any, command: str, **arguments: Any) -> Any:
    """Return the answer of the worker."""
    found = app.control.broadcast(
        command, arguments=arguments, reply=True, destination=[NODE], timeout=PATIENCE_S
    )
    return found[0][NODE]


@pytest.mark.timeout(120)
@on_every_engine("project")
def test_commands_reach_a_worker_on_each_engine(project: Any) -> None:
    app = project.app
    mark = app.tasks["proj.mark"]
    with project.worker("-c", "1", "-n", NODE) as process:
        running, waiting = mark.delay("running", 60), mark.delay("waiting", 60)
        project.wait_for_notes(1)
        child = only_child(process.pid)
        (active,) = ask(app, "active")
        asked = ask(app, "query_task", ids=[running.id])
        app.control.revoke(waiting.id)
        ended = ask(app, "revoke", task_id=running.id, terminate=True)
        for result in (running, waiting):
            with pytest.raises(TaskRevokedError):
                result.get(timeout=PATIENCE_S)
        added = ask(app, "add_consumer", queue="more")
        more = app.tasks["proj.add"].apply_async((1, 2), queue="more").get(timeout=PATIENCE_S)
        consumed = [queue["name"] for queue in ask(app, "active_queues")]
        ask(app, "cancel_consumer", queue="more")
        left = [queue["name"] for queue in ask(app, "active_queues")]
        app.control.shutdown(destination=[NODE])

        assert 0 == process.wait(PATIENCE_S)
    assert (running.id, child, "active") == (active["id"], active["worker_pid"], asked[running.id][0])
    assert {"ok": f"terminate: {running.id}"} == ended
    assert ({"ok": "add consumer more"}, 3) == (added, more)
    assert (["celery", "more"], ["celery"]) == (consumed, left)
    assert ["begin running"] == project.notes()


@pytest.mark.timeout(90)
@on_one_engine("project")
def test_a_prefork_pool_grows_shrinks_and_takes_new_time_limits(project: Any) -> None:
    app = project.app

    def processes() -> int:
        return len(ask(app, "stats")["pool"]["processes"])

    with project.worker("-c", "1", "-n", NODE):
        too_few, grown = ask(app, "pool_shrink", n=1), ask(app, "pool_grow", n=2)
        project.wait_until(lambda: processes() == 3)
        results = [app.tasks["proj.mark"].delay(number, 2) for number in range(3)]
        project.wait_for_notes(3)
        shrunk = ask(app, "pool_shrink", n=2)
        pids = {result.get(timeout=PATIENCE_S) for result in results}
        project.wait_until(lambda: processes() == 1)
        ask(app, "time_limit", task_name="proj.mark", soft=0.3, hard=60)
        limited = app.tasks["proj.mark"].delay("limited", 60).get(timeout=PATIENCE_S, propagate=False)
        too_many = ask(app, "pool_grow", n=1000)
        project.wait_until(lambda: ask(app, "stats")["total"] == {"proj.mark": 4})  # noted after its result

    assert ({"ok": "pool will grow"}, {"ok": "pool will shrink"}) == (grown, shrunk)
    assert "one must be left" in too_few["error"]
    assert "may have 65" in too_many["error"]
    assert (3, "SoftTimeLimitExceeded") == (len(pids), type(limited).__name__)


@pytest.mark.timeout(90)
@on_one_engine("project")
def test_terminate_ends_no_task_that_follows(project: Any) -> None:
    app = project.app
    with project.worker("-c", "1", "-n", NODE):
        results = [app.tasks["proj.mark"].delay(number) for number in range(30)]
        for result in results:
            ask(app, "revoke", task_id=result.id, terminate=True)
        states = {result.id: _end(result) for result in results}

    # One that is terminated between its last line and its result has ended, and is revoked.
    succeeded = {f"end {number}" for number, result in enumerate(results) if states[result.id] == "SUCCESS"}
    ended = Counter(line for line in project.notes() if line.startswith("end"))
    assert set() == succeeded - set(ended)
    assert {1} >= set(ended.values())
    assert {"REVOKED", "SUCCESS"} >= set(states.values())


def _end(result: Any) -> str:
    result.get(timeout=PATIENCE_S, propagate=False)
    return str(result.state)


@pytest.mark.timeout(90)
@on_one_engine("project")
def test_a_client_does_not_wait_for_a_worker_that_is_dead(project: Any) -> None:
    with project.worker("-P", "solo", "-n", NODE), project.worker("-P", "solo", "-n", "two@here") as dying:
        both = project.app.control.ping(limit=2, timeout=PATIENCE_S)
        os.kill(dying.pid, signal.SIGKILL)
        dying.wait()
        one = project.app.control.ping(timeout=2.0)

    assert {NODE, "two@here"} == {node for answer in both for node in answer}
    assert [{NODE: {"ok": "pong"}}] == one


@pytest.mark.timeout(90)
@on_one_engine("project")
def test_the_command_line_asks_and_commands(project: Any) -> None:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "capa_celery", "-A", "proj", *words]
        return subprocess.run(
            command, cwd=project.folder, env=project.environment, capture_output=True, text=True, timeout=60
        )

    nobody = run("status", "-t", "0.2")
    with project.worker("-P", "solo", "-n", NODE):
        status = run("status", "-d", NODE, "-t", "30", "--json")
        active = run("inspect", "active", "-d", NODE, "-t", "30", "--json")
        limit = run("control", "rate_limit", "proj.add", "5/s", "-d", NODE, "-t", "30")

    assert (69, "No nodes replied") == (nobody.returncode, nobody.stderr[len("Error: ") :][:16])
    assert {NODE: {"ok": "pong"}} == json.loads(status.stdout.splitlines()[0])
    assert {NODE: []} == json.loads(active.stdout.splitlines()[0])
    assert "new rate limit set successfully" in limit.stdout
