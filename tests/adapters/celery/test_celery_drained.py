"""Tasks that the original Celery has published, moved by `capa migrate drain`, and done by a worker of Capa."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery_backlog import NAME, publish, work
from celery_engines import POSTGRES, SQLITE
from celery_fleet import PATIENCE_S, Fleet
from celery_fleet import fleet as fleet  # noqa: PLC0414 - a fixture

from capa_core.conformance._tolerance import wait_until
from capa_migration.cli import main

pytestmark = pytest.mark.timeout(240)

TASKS = 60
DELAY_S = 3
OLD = """
from celery import Celery
app = Celery("old", broker="{url}", set_as_current=False)

@app.task(name="killed.work", shared=False)
def work(number, pause_s):
    return number
"""


def drained(folder: Path, address: str, *words: str) -> int:
    """Return the exit code of a drain into the engine of the folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return main(["migrate", "drain", address, *words])
    finally:
        os.chdir(before)


@contextmanager
def old_worker(folder: Path, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker of the original for the length of a `with` block."""
    (folder / "old.py").write_text(OLD.format(url=url))
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "old", "worker", "-P", "solo"]
    with (folder / "old.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        print((folder / "old.log").read_text()[-3000:])


@pytest.mark.server("redis")
@pytest.mark.parametrize("fleet", [SQLITE, POSTGRES], indirect=True)
def test_a_worker_does_each_drained_task_once_and_at_its_time(fleet: Fleet, redis_url: str):
    due = time.clock_gettime(time.CLOCK_BOOTTIME) + DELAY_S
    later = (f"{NAME}.timed", ["later", 0], {"countdown": DELAY_S})
    publish(redis_url, [*(work(number, priority=number % 10) for number in range(TASKS)), later])
    codes = [drained(fleet.folder, redis_url) for _ in range(2)]
    with fleet.worker("-P", "threads", "-c", "4"):
        fleet.wait_until(TASKS + 1)
    ended = next(line for line in fleet.notes.read_text().split() if line.startswith("later"))

    assert [0, 0] == codes
    assert {**{str(number): 1 for number in range(TASKS)}, "later": 1} == fleet.ran()
    assert float(ended.rpartition(":")[2]) >= due


@pytest.mark.server("rabbitmq")
@pytest.mark.parametrize("fleet", [SQLITE], indirect=True)
def test_a_worker_does_each_task_from_rabbitmq_once(fleet: Fleet, rabbitmq_url: str):
    queue = f"drained-{uuid4().hex}"
    later = work(TASKS, queue=queue, countdown=1)
    publish(rabbitmq_url, [*(work(number, queue=queue) for number in range(TASKS)), later])
    code = drained(fleet.folder, rabbitmq_url, "--queue", queue)
    with fleet.worker("-P", "threads", "-c", "4", "-Q", queue):
        fleet.wait_until(TASKS + 1)

    assert code == 0
    assert {str(number): 1 for number in range(TASKS + 1)} == fleet.ran()


@pytest.mark.server("redis")
def test_messages_of_workers_of_celery_stay_with_those_that_live(tmp_path: Path, redis_url: str):
    with redis.Redis.from_url(redis_url) as broker:
        holding = lambda: broker.hlen("unacked")  # noqa: E731 - short
        with old_worker(tmp_path, redis_url) as worker:
            publish(redis_url, [work(number, countdown=3600) for number in range(2)])
            wait_until(lambda: holding() == 2, patience_s=PATIENCE_S)
            refused, left = drained(tmp_path, redis_url), drained(tmp_path, redis_url, "--held", "leave")
            held = holding()
            worker.send_signal(signal.SIGTERM)
            worker.wait(PATIENCE_S)
        given_back = drained(tmp_path, redis_url)
        with old_worker(tmp_path, redis_url):
            publish(redis_url, [work(2, countdown=3600)])
            wait_until(lambda: holding() == 1, patience_s=PATIENCE_S)
        of_a_dead_one = drained(tmp_path, redis_url)
        after_its_time = drained(tmp_path, redis_url, "--held", "wait", "--option", "visibility_timeout=0.5")

    assert (3, 1, 2) == (refused, left, held)
    assert (0, 3, 0) == (given_back, of_a_dead_one, after_its_time)
