"""Tasks that take their process down each time: they end as dead letters, and their neighbours are run."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import WorkerLostError
from celery_engines import REDIS, SQLITE
from celery_fleet import LIMITS, Fleet, app

pytestmark = pytest.mark.timeout(240)  # each loss of a worker costs a lease and a start
MOST = 2
SETTINGS = f"lease_s = 1\nmax_worker_losses = {MOST}\n"


@pytest.fixture(autouse=True)
def _impatient(fleet: Fleet) -> None:
    file = fleet.folder / "capa.toml"
    file.write_text(file.read_text().replace(LIMITS, SETTINGS))


def serve_until(over: Callable[[], bool], fleet: Fleet, *options: str) -> None:
    """Run workers one after another, each started anew when it is lost."""
    end = time.monotonic() + 200
    while not over():
        with fleet.worker(*options) as worker:
            while worker.poll() is None and not over():
                assert time.monotonic() < end
                time.sleep(0.05)


def dead_letters() -> list[Any]:
    return app().capa.pubsub.dead_letters("celery")


def is_parked() -> bool:
    """Return whether the message is a dead letter, and no task any more: for a moment it is both."""
    return bool(dead_letters()) and app().capa.pubsub.depth("celery", "celery") == 0


# An engine counts the deliveries of a lost worker, and takes back the message of a lost process: more is the worker's.
@pytest.mark.parametrize(
    ("fleet", "pool", "kind"),
    [
        (SQLITE, "solo", "poison"),
        (SQLITE, "threads", "rejected_poison"),
        (SQLITE, "prefork", "poison"),
        (SQLITE, "prefork", "rejected_poison"),
        (SQLITE, "prefork", "fatal"),
        pytest.param("redis", "solo", "poison", marks=REDIS.marks),
        pytest.param("redis", "prefork", "poison", marks=REDIS.marks),
    ],
    indirect=["fleet"],
)
def test_a_task_that_kills_its_process_becomes_a_dead_letter(fleet: Fleet, pool: str, kind: str) -> None:
    result = app().tasks[f"killed.{kind}"].delay()
    serve_until(is_parked, fleet, "-P", pool, "-c", "1")
    (letter,) = dead_letters()

    assert MOST == fleet.ran()["poison"]
    assert ("FAILURE", WorkerLostError) == (result.state, type(result.result))
    assert letter.reason.startswith("WorkerLostError: Worker exited prematurely")


@pytest.mark.parametrize(
    ("fleet", "pool"),
    [(SQLITE, "solo"), (SQLITE, "threads"), pytest.param("redis", "solo", marks=REDIS.marks)],
    indirect=["fleet"],
)
def test_its_neighbours_are_run(fleet: Fleet, pool: str) -> None:
    poison, work = app().tasks["killed.poison"], app().tasks["killed.work"]
    for _ in range(2):
        poison.delay(0.5)
    # In solo they only wait, in more deliveries than a task may have losses; in threads some are lost each time.
    results = [work.delay(number, 1.0) for number in range(3)]
    serve_until(
        lambda: len(dead_letters()) == 2 and all(one.ready() for one in results), fleet, "-P", pool, "-c", "3"
    )

    assert [0, 1, 2] == [one.get() for one in results]
