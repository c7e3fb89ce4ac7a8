"""The same steps on Celery itself, with its in-memory broker, and on Capa: outcomes must not differ."""

import pickle
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery
import pytest
from celery import chain, chord, group
from celery.contrib.testing.worker import start_worker as start_celery_worker
from parallel import made_once

import capa_celery
from capa_celery.contrib.testing.worker import start_worker as start_capa_worker
from capa_core import Runtime, use_runtime

WAIT_S = 10
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def sig(app: Any, name: str, *args: Any, **options: Any) -> Any:
    return app.signature(name, args=args, **options)


def get(result: Any) -> Any:
    return result.get(timeout=WAIT_S, interval=0.01)


def settle(result: Any) -> Any:
    """Wait until the task has ended."""
    result.get(timeout=WAIT_S, propagate=False, interval=0.01)
    return result


def linked(app: Any) -> list[str]:
    app.seen.clear()
    get(app.tasks["add"].apply_async((1, 2), link=sig(app, "remember")))
    return wait_for_seen(app)


def error_linked(app: Any) -> list[str]:
    app.seen.clear()
    result = app.tasks["fail"].apply_async(("x",), link_error=sig(app, "remember"))
    settle(result)
    return [str(seen == result.id) for seen in wait_for_seen(app)]


def wait_for_seen(app: Any) -> list[str]:
    end = time.monotonic() + WAIT_S
    while not app.seen and time.monotonic() < end:
        time.sleep(0.01)
    return list(app.seen)


def children(app: Any) -> list[int]:
    result = (sig(app, "add", 1, 1) | sig(app, "add", 1))()
    get(result)
    return [get(child) for child in result.parent.children]


def group_result(app: Any) -> list[Any]:
    result = group(sig(app, "add", i, i) for i in range(4))()
    values = result.get(timeout=WAIT_S)
    result.save()
    restored = app.GroupResult.restore(result.id)
    return [values, restored == result, restored.completed_count(), restored.successful()]


def forgotten(app: Any) -> str:
    result = app.tasks["add"].delay(1, 1)
    get(result)
    result.forget()
    return app.AsyncResult(result.id).state


def received_by(app: Any) -> list[Any]:
    seen: list[Any] = []

    def note(sender: Any, request: Any, **_: Any) -> None:
        seen.append(
            [type(sender).__name__, sender.app is app, sender.hostname == request.hostname, request.name]
        )

    celery.signals.task_received.connect(note)
    try:
        get(app.tasks["add"].delay(1, 2))
    finally:
        celery.signals.task_received.disconnect(note)
    return seen


STEPS: dict[str, Callable[[Any], Any]] = {
    "a result": lambda app: get(app.tasks["add"].delay(2, 3)),
    "keyword arguments": lambda app: get(app.tasks["add"].delay(x="a", y="b")),
    "a failure": lambda app: get(app.tasks["fail"].delay("bad", 3)),
    "the state of a failure": lambda app: settle(app.tasks["fail"].delay("bad", 3)).state,
    "the result of a failure": lambda app: repr(settle(app.tasks["fail"].delay("bad", 3)).result),
    "its traceback": lambda app: settle(app.tasks["fail"].delay("x")).traceback.splitlines()[-1],
    "send_task by name": lambda app: get(app.send_task("add", (4, 5))),
    "an unknown task": lambda app: get(app.send_task("nobody.knows")),
    "wrong arguments": lambda app: app.tasks["add"].delay(1),
    "retry until it works": lambda app: get(app.tasks["retry"].delay(2)),
    "retry too often": lambda app: get(app.tasks["retry"].delay(5)),
    "autoretry": lambda app: get(app.tasks["autoretry"].delay(3)),
    "autoretry too often": lambda app: get(app.tasks["autoretry"].delay(9)),
    "an ignored result": lambda app: app.tasks["ignored"].delay().get(timeout=WAIT_S),
    "ignore": lambda app: app.tasks["leave"].delay().state,
    "reject": lambda app: settle(app.tasks["refuse"].delay()).state,
    "a chain": lambda app: get(chain(sig(app, "add", 1, 1), sig(app, "add", 2), sig(app, "add", 3))()),
    "a chain that fails": lambda app: get(chain(sig(app, "fail", "x"), sig(app, "add", 2))()),
    "a group": group_result,
    "a group with a failure": lambda app: (
        group(sig(app, "add", 1, 1), sig(app, "fail", "x"))().get(timeout=WAIT_S, interval=0.01)
    ),
    "a chord": lambda app: get(chord(sig(app, "add", i, i) for i in range(5))(sig(app, "total"))),
    "a chord of one": lambda app: get(chord([sig(app, "add", 1, 2)])(sig(app, "total"))),
    "a chord that fails": lambda app: type(chord_error(app)).__name__,
    "a group before a task": lambda app: get(
        (group(sig(app, "add", 1, 1), sig(app, "add", 2, 2)) | sig(app, "total"))()
    ),
    "a chord in a chain": lambda app: get(
        (sig(app, "add", 1, 1) | group(sig(app, "add", 1), sig(app, "add", 2)) | sig(app, "total"))()
    ),
    "a nested header": lambda app: get(
        chord([group(sig(app, "add", 1, 1), sig(app, "add", 2, 2)), sig(app, "add", 3, 3)])(sig(app, "total"))
    ),
    "link": linked,
    "link_error": error_linked,
    "children": children,
    "replace": lambda app: get(app.tasks["replaced"].delay(1)),
    "headers": lambda app: get(app.tasks["headers"].apply_async(headers={"tenant": "t1"})),
    "where it came from": lambda app: get(app.tasks["where"].delay()),
    "where it came from, with a priority": lambda app: get(app.tasks["where"].apply_async(priority=3)),
    "the sender of task_received": received_by,
    "countdown": lambda app: get(app.tasks["add"].apply_async((1, 1), countdown=0.2)),
    "expired": lambda app: get(app.tasks["add"].apply_async((1, 1), expires=-5)),
    "a given id": lambda app: app.tasks["add"].apply_async((1, 1), task_id="mine").id,
    "its own state": lambda app: get(app.tasks["update"].delay()),
    "forget": forgotten,
    "a timeout": lambda app: app.AsyncResult("nobody-sent-this").get(timeout=0.1),
    "pending": lambda app: app.AsyncResult("nobody-sent-this").state,
    "chunks": lambda app: app.tasks["add"].chunks([(1, 1), (2, 2)], 1)().get(timeout=WAIT_S, interval=0.01),
    "map": lambda app: get(app.tasks["total"].map([[1, 2], [3]]).apply_async()),
    "eager": lambda app: app.tasks["add"].apply((1, 2)).get(),
    "pickle refused": lambda app: app.tasks["add"].apply_async((1, object()), serializer="json"),
    "yaml refused": lambda app: app.tasks["add"].apply_async((1, 2), serializer="nothing"),
    "compression": lambda app: get(app.tasks["add"].apply_async(("x" * 1000, "y"), compression="gzip")),
    "immutable": lambda app: get((sig(app, "add", 9, 9) | app.tasks["add"].si(1, 1))()),
}  # fmt: skip


def chord_error(app: Any) -> Exception:
    result = chord([sig(app, "add", 1, 1), sig(app, "fail", "x")])(sig(app, "total"))
    return settle(result).result


def outcome(step: Callable[[Any], Any], app: Any) -> Any:
    try:
        return step(app)
    except Exception as error:
        return type(error).__module__, type(error).__name__, UUID.sub("<id>", str(error))


@pytest.fixture(scope="module")
def outcomes(make_tasks: Callable[[type], Any], run_folder: Path) -> dict[str, dict[str, Any]]:
    """Give the outcomes of all steps on either side."""

    def note(folder: Path) -> None:
        (folder / "outcomes").write_bytes(pickle.dumps(_outcomes(make_tasks)))

    return pickle.loads((made_once(run_folder / "celery-twin", note) / "outcomes").read_bytes())


def _outcomes(make_tasks: Callable[[type], Any]) -> dict[str, dict[str, Any]]:
    """Run all steps on either side, each with a worker in a thread."""
    quiet = {"perform_ping_check": False, "loglevel": "CRITICAL"}
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = make_tasks(celery.Celery)
        with start_celery_worker(theirs, **quiet):
            found["celery"] = {name: outcome(step, theirs) for name, step in STEPS.items()}
    with use_runtime(Runtime.in_memory()):
        ours = make_tasks(capa_celery.Celery)
        with start_capa_worker(ours, **quiet):
            found["capa"] = {name: outcome(step, ours) for name, step in STEPS.items()}
    return found


@pytest.mark.parametrize("step", STEPS)
def test_the_outcome_is_that_of_celery(outcomes: dict[str, dict[str, Any]], step: str) -> None:
    expected, actual = outcomes["celery"][step], outcomes["capa"][step]

    assert expected == actual
