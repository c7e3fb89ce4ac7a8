"""The cost of messages in a backlog of a million, while it grows and is drained: the last cost what the first did.

And of one message beside a million that wait, and beside a thousand after that million was drained.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measure import Figures, Row, elapsed_s, ratio_at_most
from benchmarks.messages import opened
from capa_core.blocks.pubsub import PubSub, PubSubDriver
from capa_core.components.nats.pubsub import NatsPubSub
from capa_core.components.postgres.pubsub import PostgresPubSub
from capa_core.components.rabbitmq.pubsub import RabbitPubSub
from capa_core.components.redis.pubsub import RedisPubSub
from capa_core.components.sqlite.pubsub import SqlitePubSub
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer

MESSAGES = 1_000_000
PART = 100_000
BATCH = 1_000
BODY = b"x" * 100
COMPARED = 3
"""The medians of so many parts at each end are compared."""
FEW = 1_000
SINGLES = 1_000
STEADY = ratio_at_most(1.25)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Opened = tuple[PubSubDriver, list[int]]
"""A driver, and the processes of its server."""


def run() -> list[Row]:
    """Fill and drain a queue of each engine, or of the one that the variable ENGINE names.

    Raises:
        KeyError: There is no such engine.
    """
    chosen = os.environ.get("ENGINE")
    engines = {chosen: ENGINES[chosen]} if chosen else ENGINES
    return [row for title, engine in engines.items() for row in rows(title, engine)]


def rows(title: str, started: Callable[[], AbstractContextManager[Opened]]) -> Iterator[Row]:
    """Fill and drain a queue of one engine, and tell the rate of each part.

    The rows compare processor time, which other programs on the machine hardly change, and not the rates.
    """
    with started() as (driver, server), opened(driver) as pubsub:
        pubsub.publish_many("t", [BODY] * FEW, raw=True)
        single = partial(_single_s, title, server, pubsub)
        few_s = min(single("among a thousand") for _ in range(2))
        for work, part in (("publish", _publish), ("drain", _drain)):
            costs = [
                _cost_s(f"{title}, {work}", number, server, partial(part, pubsub))
                for number in range(MESSAGES // PART)
            ]
            figures = Figures(median(costs[:COMPARED]), median(costs[-COMPARED:]))
            note = f"processor time a message, server's too; {MESSAGES:,} messages, {BATCH:,} at a time"
            yield Row(f"{work} a backlog, {title}, its end", "its beginning", figures, STEADY, note=note)
            state = "among a million" if work == "publish" else "after a million"
            figures = Figures(few_s, min(single(state) for _ in range(2)))
            note = f"processor time, server's too, of one published, received and acknowledged; {SINGLES} of them"
            yield Row(f"one message {state}, {title}", "among a thousand", figures, STEADY, note=note)


def _cost_s(title: str, number: int, server: Sequence[int], work: Callable[[], None]) -> float:
    before = time.process_time() + _cpu_s(server)
    rate = PART / elapsed_s(work)
    cost_s = (time.process_time() + _cpu_s(server) - before) / PART
    done = f"{(number + 1) * PART:,}"
    print(f"{title}, to {done}: {rate:,.0f}/s, {cost_s * 1e6:.0f} µs", file=sys.stderr, flush=True)
    return cost_s


def _single_s(title: str, server: Sequence[int], pubsub: PubSub, state: str) -> float:
    """Return the processor time of one message that is published, received and acknowledged beside those that wait."""
    before = time.process_time() + _cpu_s(server)
    with pubsub.consumer("t", raw=True) as consumer:
        for _ in range(SINGLES):
            pubsub.publish("t", BODY, raw=True)
            consumer.ack(consumer.receive(1, 5))
    cost_s = (time.process_time() + _cpu_s(server) - before) / SINGLES
    print(f"{title}, one {state}: {cost_s * 1e6:.0f} µs", file=sys.stderr, flush=True)
    return cost_s


def _cpu_s(pids: Sequence[int]) -> float:
    """Return the processor time of the processes *pids* and of their children."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            fields = path.read_text().rpartition(")")[2].split()
            if int(path.parent.name) in pids or int(fields[1]) in pids:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def _publish(pubsub: PubSub) -> None:
    for _ in range(PART // BATCH):
        pubsub.publish_many("t", [BODY] * BATCH, raw=True)


def _drain(pubsub: PubSub) -> None:
    left = PART
    with pubsub.consumer("t", raw=True) as consumer:
        while left:
            messages = consumer.receive(min(left, BATCH), 5)
            consumer.ack(messages)
            left -= len(messages)


@contextmanager
def _sqlite() -> Iterator[Opened]:
    with tempfile.TemporaryDirectory() as folder:
        yield SqlitePubSub(SqlitePubSub.settings_type(folder=Path(folder))), []


@contextmanager
def _redis() -> Iterator[Opened]:
    with RedisServer.started(appendonly="yes") as server:
        yield RedisPubSub(RedisPubSub.settings_type(url=server.url)), [server.pid]


@contextmanager
def _rabbitmq() -> Iterator[Opened]:
    with RabbitServer.started() as server:
        yield RabbitPubSub(RabbitPubSub.settings_type(url=server.url)), [server.pid]


@contextmanager
def _postgres() -> Iterator[Opened]:
    with PostgresServer.started() as server:
        yield PostgresPubSub(PostgresPubSub.settings_type(url=server.url)), [server.pid]


@contextmanager
def _nats() -> Iterator[Opened]:
    with NatsServer.started() as server:
        yield NatsPubSub(NatsPubSub.settings_type(url=server.url)), [server.pid]


ENGINES = {
    "SQLite": _sqlite,
    "Redis": _redis,
    "PostgreSQL": _postgres,
    "RabbitMQ": _rabbitmq,
    "NATS": _nats,
}
