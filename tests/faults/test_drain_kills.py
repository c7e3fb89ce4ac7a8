"""A drain that is killed at any moment: no task is lost, none comes twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest
import redis
from celery_backlog import multiplied, publish, work

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until

pytestmark = [pytest.mark.server("redis"), pytest.mark.timeout(300)]

PUBLISHED, TIMES, KILLS = 50, 30, 12
MOVED, MOVER = "_capa.celery.moved:celery", "_capa.celery.mover:celery"
SQLITE = ""
REDIS = '[pubsub.celery]\ndriver = "redis"\nurl = "{redis_url}"\n'
_FORKING = """
import os, sys
from capa_celery import _backlog
from capa_core.components.redis import pubsub, _celery_backlog
from capa_core.components.sqlite import pubsub
from capa_migration.cli import drain, drain_view, main
from capa_migration.live.drain import broker, mover

for line in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(main(["migrate", "drain", *line.split()]))
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
"""A process that runs `capa migrate drain` in a fork for each line that it reads: a start of Python takes longer."""


class Drains:
    """Drains, one after the other."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self._process = process
        self._address = address

    def begin(self) -> int:
        """Start one, and return its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self._address} --json\n")
        self._process.stdin.flush()
        return int(self._line())

    def code(self) -> int:
        """Return the exit code of the one that was started last, when it has ended."""
        return int(self._line())

    def _line(self) -> str:
        """Return the next line of digits: what the drains print is between them."""
        assert self._process.stdout is not None
        return next(line for line in self._process.stdout if line.strip("-\n").isdecimal())


@pytest.fixture
def drains(tmp_path, redis_url) -> Iterator[Drains]:
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", _FORKING],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        yield Drains(process, redis_url)
        process.kill()


@pytest.mark.parametrize("target", [SQLITE, REDIS], ids=["sqlite", "redis"])
def test_a_killed_drain_loses_no_task_and_moves_each_once(
    tmp_path, redis_url, drains, target, record_property
):
    (tmp_path / "capa.toml").write_text(target.format(redis_url=redis_url))
    sent: list[str] = []
    killed = 0
    with redis.Redis.from_url(redis_url) as broker:
        while killed < KILLS:
            if broker.llen("celery") == 0:
                publish(redis_url, (work(number) for number in range(PUBLISHED)))
                sent += multiplied(broker, TIMES)
            before = broker.get(MOVER)
            child = drains.begin()
            wait_until(lambda: broker.get(MOVER) != before, patience_s=60)  # noqa: B023 - called at once
            time.sleep(random.uniform(0, 0.05))
            _kill(child)
            killed += drains.code() == -signal.SIGKILL and broker.hlen(MOVED) > 0
        drains.begin()
        code = drains.code()
        left = broker.keys("celery*"), broker.keys("_capa*")
    found = _arrived(tmp_path)
    counts = {"lost": len(set(sent) - found.keys()), "twice": found.total() - len(found)}
    record_property("counts", {**counts, "sent": len(sent), "killed": killed})

    assert (0, ([], [])) == (code, left)
    assert {"lost": 0, "twice": 0} == counts
    assert set(sent) == found.keys()


def _kill(child: int) -> None:
    with suppress(ProcessLookupError):  # it had moved all before
        os.kill(child, signal.SIGKILL)


def _arrived(folder) -> Counter[str]:
    """Return how often each task has arrived, by its id."""
    times: Counter[str] = Counter()
    with Runtime(start=folder) as runtime, runtime.pubsub("celery").consumer("celery", raw=True) as consumer:
        while messages := consumer.receive(1000, 0):
            consumer.ack(messages)
            times.update(json.loads(message.data)["headers"]["id"] for message in messages)
    return times
