"""A client of a mixed fleet as a process of its own, since Celery's own leaves connections open: its answer is JSON.

python celery_mixed_client.py KIND FUNCTION [ARGUMENT …]
"""

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from celery import chain, chord, group
from celery.app.task import Context
from celery_events_capture import captured
from celery_fleet import PATIENCE_S

from capa_core.conformance._tolerance import wait_until


def steps(app: Any) -> dict[str, Any]:
    """Return the outcome of each kind of call, by its name."""
    return {name: step(app) for name, step in STEPS.items()}


def load(app: Any, count: int, chords: int) -> dict[str, Any]:
    """Send tasks and chords, and return all results and the numbers of tasks by worker."""
    results = [app.tasks["work"].delay(number, 0.1) for number in range(count)]
    sums = [chord(_adds(app), app.tasks["total"].s()).apply_async() for _ in range(chords)]
    numbers = [each.get(timeout=PATIENCE_S) for each in results]
    totals = [each.get(timeout=PATIENCE_S) for each in sums]
    stats = _inspect(app).stats()
    return {
        "numbers": numbers,
        "totals": totals,
        "worked": {node: each["total"].get("work", 0) for node, each in stats.items()},
    }


def load_until_enough(app: Any) -> list[bool]:
    """Keep tasks waiting until there is a file `enough`; return whether each result, and each total, was right."""
    results, sums = [], []
    while not Path(ENOUGH).exists():
        if app.backend.client.llen("celery") >= WAITING:
            time.sleep(0.01)
            continue
        results.append(app.tasks["work"].delay(len(results), 0.1))
        if len(results) % 10 == 0:
            sums.append(chord(_adds(app), app.tasks["total"].s()).apply_async())
    numbers = [each.get(timeout=PATIENCE_S) for each in results]
    totals = [each.get(timeout=PATIENCE_S) for each in sums]
    return [numbers == list(range(len(results))), totals == [12] * len(sums), len(results) >= WAITING]


def commands(app: Any) -> dict[str, Any]:
    """Return who answers commands, which queues they consume, and whose events of tasks come."""
    inspect = _inspect(app)
    names = ("ping", "registered", "active", "stats")
    answered = {name: sorted(getattr(inspect, name)()) for name in names}
    queues = {node: [each["name"] for each in found] for node, found in inspect.active_queues().items()}
    wait = partial(wait_until, patience_s=PATIENCE_S)
    with captured(app) as events:
        wait(lambda: len({each["hostname"] for each in events.events if "active" in each}) == NODES)
        results = [app.tasks["work"].delay(number, 0.2) for number in range(20)]
        ended = {result.id for result in results}
        wait(lambda: ended <= {each["uuid"] for each in events.events if each["type"] == "task-succeeded"})
        workers = {each["hostname"] for each in events.events if each["type"] == "task-started"}
    return {"answered": answered, "queues": queues, "workers": sorted(workers)}


def send_later(app: Any) -> None:
    """Send a task that is due in an hour."""
    app.tasks["add"].apply_async((1, 2), countdown=3600)


def revoked(app: Any, ident: str) -> Any:
    """Revoke a task that is not sent yet, and return how many workers know of it."""
    return len(app.control.revoke(ident, reply=True, timeout=PATIENCE_S, limit=1))


def sent_as(app: Any, ident: str) -> str:
    """Send a task with an id, and return the state in which it ends."""
    result = app.tasks["add"].apply_async((1, 2), task_id=ident)
    result.get(timeout=PATIENCE_S, propagate=False)
    return str(result.state)


def part_that_comes_again(app: Any, claim_ms: int) -> list[int]:
    """Return the last part of a chord whose claim is a dead worker's; return the numbers of bodies sent then and after.

    The last of these is after the part came once more.
    """
    backend = app.backend
    body = app.tasks["total"].s()
    request = Context(
        id="part", group="header", group_index=0, chord=body, delivery_info={"redelivered": True}
    )
    backend.set_chord_size("header", 1)
    backend.client.set(backend.get_key_for_group("header", ".c"), "of a dead worker", px=claim_ms)
    counts = []
    for _ in range(2):
        backend.on_chord_part_return(request, "SUCCESS", 3)
        counts.append(backend.client.llen("celery"))
    return counts


def stored_while_the_server_is_away(app: Any) -> str:
    """Store a result once there is a file `enough`, and return its state then."""
    logging.basicConfig()  # Celery tells of each try
    app.AsyncResult("late").state  # noqa: B018 - connects
    print(CONNECTED, flush=True)
    wait_until(Path(ENOUGH).exists, patience_s=PATIENCE_S)
    app.backend.store_result("late", 1, "SUCCESS")
    return str(app.AsyncResult("late").state)


def purged(app: Any) -> int:
    """Send three tasks, and return how many the purge of the queues removes."""
    for number in range(3):
        app.tasks["add"].delay(1, number)
    return int(app.control.purge())


NODES = 2
ENOUGH = "enough"
CONNECTED = "connected"
WAITING = 20
ANSWER = "the answer is: "
"""Before the answer, in a line of its own: Celery may print others as the program ends."""


def _inspect(app: Any) -> Any:
    return app.control.inspect(timeout=PATIENCE_S, limit=NODES)


def _adds(app: Any) -> list[Any]:
    return [app.tasks["add"].s(number, number) for number in range(4)]


def _chain(app: Any) -> Any:
    add = app.tasks["add"]
    return chain(add.s(1, 2), add.s(3), add.s(4))


def _failed(app: Any) -> Any:
    error = app.tasks["fail"].delay("bad", 3).get(timeout=PATIENCE_S, propagate=False)
    return [type(error).__name__, *error.args]


def _failed_in_a_chord(app: Any) -> Any:
    body = chord([app.tasks["add"].s(1, 1), app.tasks["fail"].s("bad")], app.tasks["total"].s())
    return type(body.apply_async().get(timeout=PATIENCE_S, propagate=False)).__name__


def _delayed(app: Any) -> Any:
    begun = time.time()
    result = app.tasks["add"].apply_async((1, 2), countdown=1).get(timeout=PATIENCE_S)
    return [result, time.time() - begun >= 0.9]


def _revoked(app: Any) -> Any:
    ident = str(uuid4())
    app.control.revoke(ident, reply=True, timeout=PATIENCE_S, limit=1)
    result = app.tasks["add"].apply_async((1, 2), task_id=ident)
    return type(result.get(timeout=PATIENCE_S, propagate=False)).__name__


def _sent(app: Any, **options: Any) -> Any:
    return app.tasks["seen"].apply_async(**options).get(timeout=PATIENCE_S)[1:]


STEPS: dict[str, Callable[[Any], Any]] = {
    "add": lambda app: app.tasks["add"].delay("a", "é").get(timeout=PATIENCE_S),
    "chain": lambda app: _chain(app).apply_async().get(timeout=PATIENCE_S),
    "group": lambda app: group(_adds(app)).apply_async().get(timeout=PATIENCE_S),
    "chord": lambda app: chord(_adds(app), app.tasks["total"].s()).apply_async().get(timeout=PATIENCE_S),
    "retry": lambda app: app.tasks["again"].delay(2).get(timeout=PATIENCE_S),
    "failure": _failed,
    "failure in a chord": _failed_in_a_chord,
    "eta": _delayed,
    "revoke": _revoked,
    "headers": lambda app: _sent(app, headers={"tenant": "t1"}),
    "priority": lambda app: _sent(app, priority=7),
    "compression": lambda app: _sent(app, compression="gzip"),
}

if __name__ == "__main__":
    kind, function, *arguments = sys.argv[1:]
    application = importlib.import_module(f"mixed_{kind}").app
    print(
        ANSWER, json.dumps(globals()[function](application, *map(json.loads, arguments))), sep="", flush=True
    )
