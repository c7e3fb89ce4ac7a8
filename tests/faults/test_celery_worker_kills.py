"""Lost and repeated tasks when Celery workers on Capa are killed with SIGKILL."""

import signal

import pytest
from celery_engines import NATS, POSTGRES, RABBITMQ, REDIS, SQS, in_every_pool, on_every_engine
from celery_fleet import LEASE_S, PATIENCE_S, Fleet, app

pytestmark = pytest.mark.timeout(180)  # each kill costs a lease and a start


@in_every_pool("fleet", REDIS, RABBITMQ, NATS, POSTGRES, SQS)
def test_killed_workers_lose_nothing(fleet: Fleet, pool: str) -> None:
    tasks, kills, slots = 300, 3, 2
    work = app().tasks["killed.work"]
    results = [work.delay(number) for number in range(tasks)]
    for kill in range(kills):
        with fleet.worker("-P", pool, "-c", str(slots)) as worker:
            fleet.wait_until((kill + 1) * 60)
            worker.send_signal(signal.SIGKILL)
    with fleet.worker("-P", pool, "-c", str(slots)):
        fleet.wait_until(tasks)
        values = [result.get(timeout=PATIENCE_S) for result in results]
    ran = fleet.ran()
    twice = sum(count - 1 for count in ran.values())

    assert (list(range(tasks)), tasks) == (values, len(ran))
    # Finished tasks that were not acknowledged may run again: at most one outbox of them at each kill.
    assert twice <= kills * 100, f"{twice} of {tasks} tasks ran more than once"


@pytest.mark.quiet
@on_every_engine("fleet")
def test_the_tasks_of_a_killed_worker_come_back_within_its_lease(fleet: Fleet) -> None:
    work = app().tasks["killed.work"]
    options = ("-P", "prefork", "-c", "2", "-l", "INFO")
    with fleet.worker(*options) as first, fleet.worker(*options, "-n", "second@%h"):
        fleet.wait_until_ready(2)
        for number in range(200):
            work.delay(number)
        fleet.wait_until(20)
        first.send_signal(signal.SIGKILL)
        first.wait()
        took = fleet.wait_until(200)

    assert took <= LEASE_S + 2


def test_a_chord_survives_killed_workers_with_one_body(fleet: Fleet) -> None:
    from celery import chord

    work, total = app().tasks["killed.work"], app().tasks["killed.total"]
    body = chord(work.s(number) for number in range(150))(total.s())
    for kill in range(2):
        with fleet.worker("-P", "prefork", "-c", "2") as worker:
            fleet.wait_until((kill + 1) * 50)
            worker.send_signal(signal.SIGKILL)
    with fleet.worker("-P", "prefork", "-c", "2"):
        value = body.get(timeout=PATIENCE_S)

    assert (sum(range(150)), 1) == (value, fleet.ran()["total"])
