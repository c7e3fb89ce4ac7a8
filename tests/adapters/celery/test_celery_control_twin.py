"""The same control commands to Celery's own worker and to Capa's: the answers must not differ."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import celery
import pytest
from celery_events_capture import captured
from celery_fleet import PATIENCE_S
from parallel import made_once

import capa_celery
from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import wait_until

NODE = "one@here"

TASKS = """
import time
from {package} import Celery
from celery.worker.control import inspect_command

app = Celery("twin", broker="{url}", backend="{url}")
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_retry_on_startup = True

@app.task(name="add")
def add(x, y):
    return x + y

@app.task(name="nap")
def nap(pause_s):
    time.sleep(pause_s)

@app.task(name="fail")
def fail():
    raise ValueError("bad")

@app.task(name="again", bind=True)
def again(self):
    if not self.request.retries:
        raise self.retry(countdown=0)

@inspect_command()
def mine(state, text="nothing"):
    return [state.hostname, type(state.app).__name__, text]
"""


def ask(app: Any, command: str, **arguments: Any) -> Any:
    """Return the answer of the worker."""
    found = app.control.broadcast(
        command, arguments=arguments, reply=True, destination=[NODE], timeout=PATIENCE_S
    )
    return found[0][NODE]


def revoked_while_it_runs(app: Any) -> list[Any]:
    result = app.send_task("nap", (60,))
    wait_until(lambda: ask(app, "active"), patience_s=PATIENCE_S)
    info = ask(app, "active")
    queried = ask(app, "query_task", ids=[result.id, "unknown"])
    answer = ask(app, "revoke", task_id=result.id, terminate=True)
    result.get(timeout=PATIENCE_S, propagate=False)
    return [
        shape(info),
        [state for state, _ in queried.values()],
        list(answer),
        result.state,
        repr(result.result),
    ]


def revoked_by_stamp(app: Any) -> list[Any]:
    answer = ask(app, "revoke_by_stamped_headers", headers={"who": ["me"]})
    result = app.send_task("nap", (60,), stamped_headers=["who"], who="me")
    result.get(timeout=PATIENCE_S, propagate=False)
    return [answer, result.state]


def revoked_before(app: Any) -> list[Any]:
    answer = ask(app, "revoke", task_id="early")
    result = app.send_task("nap", (60,), task_id="early")
    result.get(timeout=PATIENCE_S, propagate=False)
    return [answer, result.state, "early" in ask(app, "revoked")]


def consumed(app: Any) -> list[Any]:
    answers = [ask(app, "add_consumer", queue="more", exchange="more", routing_key="more")]
    wait_until(lambda: len(ask(app, "active_queues")) == 2, patience_s=PATIENCE_S)
    answers += [sorted(map(str, ask(app, "active_queues"))), ask(app, "cancel_consumer", queue="more")]
    wait_until(lambda: len(ask(app, "active_queues")) == 1, patience_s=PATIENCE_S)
    return [*answers, app.send_task("add", (1, 2)).get(timeout=PATIENCE_S)]


def events_of(app: Any, name: str, args: Any, **options: Any) -> dict[str, Any]:
    """Return the fields of the events of a task by their types; Celery sends a failure by time twice."""
    with captured(app) as seen:
        result = app.send_task(name, args, **options)
        wait_until(lambda: {one["type"] for one in seen.of(result.id)} & ENDS, patience_s=PATIENCE_S)
        return {one["type"]: sorted(one.keys() - {"clock"}) for one in seen.of(result.id)}


ENDS = {"task-succeeded", "task-failed", "task-revoked"}


def heartbeat(app: Any) -> Any:
    with captured(app) as seen:
        beats = lambda: [one for one in seen.events if "active" in one]  # noqa: E731 - not the one that was asked for
        wait_until(beats, patience_s=PATIENCE_S)
        return sorted(beats()[0])


def totals(app: Any) -> Any:
    app.send_task("add", (1, 2)).get(timeout=PATIENCE_S)
    # The worker counts a task when its process tells that it has ended, which may come after the result.
    wait_until(lambda: ask(app, "stats")["total"], patience_s=PATIENCE_S)
    return sorted(ask(app, "stats")["total"])


def shape(value: Any) -> Any:
    """Return *value* with types in the places of texts and numbers."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


STEPS: dict[str, Callable[[Any], Any]] = {
    "ping": lambda app: app.control.ping(destination=[NODE], timeout=PATIENCE_S),
    "inspect ping": lambda app: app.control.inspect(destination=[NODE], timeout=PATIENCE_S).ping(),
    "nobody": lambda app: app.control.ping(destination=["x@y"], timeout=0.2),
    "inspect nobody": lambda app: app.control.inspect(destination=["x@y"], timeout=0.2).ping(),
    "a text as destination": lambda app: app.control.ping(destination=NODE),
    "registered": lambda app: ask(app, "registered"),
    "registered with attributes": lambda app: ask(app, "registered", taskinfoitems=["max_retries"]),
    "stats": lambda app: sorted(set(ask(app, "stats"))),
    "total": totals,
    "conf": lambda app: sorted(ask(app, "conf")),
    "report": lambda app: shape(ask(app, "report")),
    "clock": lambda app: shape(ask(app, "clock")),
    "no active": lambda app: ask(app, "active"),
    "no reserved": lambda app: ask(app, "reserved"),
    "no scheduled": lambda app: ask(app, "scheduled"),
    "queues": lambda app: ask(app, "active_queues"),
    "its own": lambda app: ask(app, "mine", text="hello"),
    "unknown": lambda app: ask(app, "nonsense"),
    "a missing argument": lambda app: ask(app, "revoke"),
    "a wrong argument": lambda app: ask(app, "ping", x=1),
    "time limit": lambda app: ask(app, "time_limit", task_name="add", soft=3, hard=5),
    "time limit of an unknown task": lambda app: ask(app, "time_limit", task_name="x", soft=3),
    "rate limit": lambda app: ask(app, "rate_limit", task_name="add", rate_limit="1000/s"),
    "no rate limit": lambda app: ask(app, "rate_limit", task_name="add", rate_limit=0),
    "a wrong rate limit": lambda app: ask(app, "rate_limit", task_name="add", rate_limit="often"),
    "rate limit of an unknown task": lambda app: ask(app, "rate_limit", task_name="x", rate_limit="1/s"),
    "grow": lambda app: ask(app, "pool_grow", n=1),
    "shrink": lambda app: ask(app, "pool_shrink", n=1),
    "autoscale": lambda app: ask(app, "autoscale", max=3, min=1),
    "hello": lambda app: sorted(ask(app, "hello", from_node="x@y")),
    "revoked while it runs": revoked_while_it_runs,
    "revoked by stamp": revoked_by_stamp,
    "revoked before it comes": revoked_before,
    "consumers": consumed,
    "events": lambda app: [ask(app, "enable_events"), ask(app, "disable_events")],
    "events of a task": lambda app: events_of(app, "add", (1, 2)),
    "events of a failure": lambda app: events_of(app, "fail", ()),
    "events of a retry": lambda app: events_of(app, "again", ()),
    "events of an expired task": lambda app: events_of(app, "add", (1, 2), expires=-5),
    "events of an unknown task": lambda app: events_of(app, "nobody.knows", ()),
    "events of a task past its time": lambda app: events_of(app, "nap", (60,), time_limit=1),
    "a heartbeat": heartbeat,
}


def outcome(step: Callable[[Any], Any], app: Any) -> Any:
    try:
        return step(app)
    except Exception as error:
        return type(error).__module__, type(error).__name__, str(error)


@contextmanager
def twin(folder: Path, package: Any, url: str) -> Iterator[Any]:
    """Run a worker of *package* for the length of a `with` block, and give a client of it."""
    name = f"twin_of_{package.__name__}"
    (folder / f"{name}.py").write_text(TASKS.format(package=package.__name__, url=url))
    command = [sys.executable, "-m", package.__name__, "-A", name, "worker", "-c", "1", "-n", NODE, "-E"]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdout=log, stderr=log
        )
    app = package.Celery("client", broker=url, backend=url, set_as_current=False)
    try:
        wait_until(lambda: app.control.ping(limit=1, timeout=0.5), patience_s=PATIENCE_S)
        yield app
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def answers(run_folder: Path, redis_server: Any) -> dict[str, dict[str, Any]]:
    """Give the answers to all steps on either side."""

    def note(folder: Path) -> None:
        (folder / "answers").write_bytes(pickle.dumps(_answers(folder, redis_server.url_of(0))))

    return pickle.loads((made_once(run_folder / "celery-control-twin", note) / "answers").read_bytes())


def _answers(folder: Path, url: str) -> dict[str, dict[str, Any]]:
    (folder / "capa.toml").write_text("")
    with ExitStack() as both:
        theirs = both.enter_context(twin(folder, celery, url))
        both.enter_context(use_runtime(both.enter_context(Runtime(file=folder / "capa.toml"))))
        ours = both.enter_context(twin(folder, capa_celery, url))
        apps = {"celery": theirs, "capa": ours}
        return {
            side: {name: outcome(step, app) for name, step in STEPS.items()} for side, app in apps.items()
        }


@pytest.mark.server("redis")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
def test_the_answer_is_that_of_celery(answers: dict[str, dict[str, Any]], step: str) -> None:
    expected, actual = answers["celery"][step], answers["capa"][step]

    assert expected == actual
