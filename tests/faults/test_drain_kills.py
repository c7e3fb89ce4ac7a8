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
from contextlib import closing, suppress
from uuid import uuid4

import pika
import pytest
import redis
from celery_backlog import multiplied, multiplied_on_rabbitmq, publish, work

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until

pytestmark = pytest.mark.timeout(300)

PUBLISHED, TIMES, KILLS = 50, 30, 12
MOVED, MOVER = "_capa.celery.moved", "_capa.celery.mover"
SQLITE = ""
REDIS = '[pubsub.celery]\ndriver = "redis"\nurl = "{redis_url}"\n'
_FORKING = """
import os, sys
from capa_celery import _backlog
from capa_core.components.rabbitmq import pubsub, _celery_backlog
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

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def begin(self, *words: str) -> int:
        """Start one, and return its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{' '.join(words)} --json\n")
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
def drains(tmp_path) -> Iterator[Drains]:
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
        yield Drains(process)
        process.kill()


class OnRedis:
    """The queue `celery` of a broker on Redis."""

    def __init__(self, url: str) -> None:
        self.words = (url,)
        self._client = redis.Redis.from_url(url)
        self.close = self._client.close

    def fill(self) -> list[str]:
        """Have tasks wait, and return their ids."""
        publish(self.words[0], (work(number) for number in range(PUBLISHED)))
        return multiplied(self._client, TIMES)

    def progress(self) -> object:
        """Return what is another when another drain has begun to take messages."""
        return self._client.get(f"{MOVER}:celery")

    def left(self) -> int:
        """Return how many messages wait or are on their way."""
        return int(self._client.llen("celery")) + int(self._client.hlen(f"{MOVED}:celery"))

    def traces(self) -> list[bytes]:
        """Return the keys that a drain which has moved all should not leave."""
        return list(self._client.keys("celery*")) + list(self._client.keys("_capa*"))


class OnRabbitMQ:
    """A queue of its own of a broker on RabbitMQ."""

    def __init__(self, url: str) -> None:
        self._queue = f"killed-{uuid4().hex}"
        self.words = (url, "--queue", self._queue)
        self._connection = pika.BlockingConnection(pika.URLParameters(url))

    def fill(self) -> list[str]:
        """Have tasks wait, and return their ids."""
        publish(self.words[0], (work(number, queue=self._queue) for number in range(PUBLISHED)))
        return multiplied_on_rabbitmq(self._connection.channel(), self._queue, TIMES)

    def progress(self) -> object:
        """Return what is another when a drain has taken messages."""
        return self._count(self._queue)

    def left(self) -> int:
        """Return how many messages wait or are on their way."""
        return (self._count(self._queue) or 0) + (self._count(f"{MOVED}.{self._queue}") or 0)

    def traces(self) -> list[str]:
        """Return the queues that a drain which has moved all should not leave."""
        return [name for name in (f"{MOVED}.{self._queue}",) if self._count(name) is not None]

    def close(self) -> None:
        """Remove the queue."""
        self._connection.channel().queue_delete(self._queue)
        self._connection.close()

    def _count(self, queue: str) -> int | None:
        """Return how many messages are ready in a queue; `None` if there is none."""
        try:
            return int(self._connection.channel().queue_declare(queue, passive=True).method.message_count)
        except pika.exceptions.ChannelClosedByBroker:
            return None


@pytest.mark.server("redis")
@pytest.mark.parametrize("target", [SQLITE, REDIS], ids=["sqlite", "redis"])
def test_a_killed_drain_of_redis_loses_no_task_and_moves_each_once(
    tmp_path, redis_url, drains, target, record_property
):
    (tmp_path / "capa.toml").write_text(target.format(redis_url=redis_url))
    with closing(OnRedis(redis_url)) as broker:
        _check_after_kills(tmp_path, broker, drains, "celery", record_property)


@pytest.mark.server("rabbitmq")
def test_a_killed_drain_of_rabbitmq_loses_no_task_and_moves_each_once(
    tmp_path, rabbitmq_url, drains, record_property
):
    with closing(OnRabbitMQ(rabbitmq_url)) as broker:
        _check_after_kills(tmp_path, broker, drains, broker.words[-1], record_property)


def _check_after_kills(folder, broker, drains: Drains, topic: str, record_property) -> None:
    """Kill drains while messages are under way, let one end, and check what has arrived."""
    sent: list[str] = []
    killed = 0
    while killed < KILLS:
        if not broker.left():
            sent += broker.fill()
        before = broker.progress()
        child = drains.begin(*broker.words)
        wait_until(lambda: broker.progress() != before, patience_s=60)  # noqa: B023 - called at once
        time.sleep(random.uniform(0, 0.05))
        _kill(child)
        killed += drains.code() == -signal.SIGKILL and broker.left() > 0
    # What a dead drain held is back in its queue a moment later.
    wait_until(lambda: _has_moved(folder, broker, drains, topic, len(sent)), patience_s=60)
    found = _arrived(folder, topic)
    counts = {"lost": len(set(sent) - found.keys()), "twice": found.total() - len(found)}
    record_property("counts", {**counts, "sent": len(sent), "killed": killed})

    assert [] == broker.traces()
    assert {"lost": 0, "twice": 0} == counts
    assert set(sent) == found.keys()


def _has_moved(folder, broker, drains: Drains, topic: str, count: int) -> bool:
    """Run a drain to its end, and return whether all has been moved by then."""
    drains.begin(*broker.words)
    with Runtime(start=folder) as runtime:
        return drains.code() == 0 and runtime.pubsub("celery").depth(topic, "celery") >= count


def _kill(child: int) -> None:
    with suppress(ProcessLookupError):  # it had moved all before
        os.kill(child, signal.SIGKILL)


def _arrived(folder, topic: str) -> Counter[str]:
    """Return how often each task has arrived, by its id."""
    times: Counter[str] = Counter()
    with Runtime(start=folder) as runtime, runtime.pubsub("celery").consumer(topic, raw=True) as consumer:
        while messages := consumer.receive(1000, 0):
            consumer.ack(messages)
            times.update(json.loads(message.data)["headers"]["id"] for message in messages)
    return times
