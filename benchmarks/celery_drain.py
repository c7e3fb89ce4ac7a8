"""The rate at which one worker empties a queue of trivial tasks."""

import time
from functools import partial

from benchmarks.celery_workers import Side, sides
from benchmarks.measure import Row, interleave, ratio_at_least
from tests.servers.rabbitmq import RabbitServer

TASKS = 5000
FILL = f"from bench import touch\nfor _ in range({TASKS}): touch.delay()"
POOLS = (("solo", 1), ("threads", 2), ("prefork", 2))


def run() -> list[Row]:
    """Fill a queue, start a worker, and time from its first task to its last; results are kept."""
    with RabbitServer.started() as server:
        return [*_rows("Redis", None, 5), *_rows("RabbitMQ", server.url, 4)]


def _rows(broker: str, rabbitmq: str | None, at_least: float) -> list[Row]:
    with sides(rabbitmq) as (peer, ours):
        return [
            Row(
                f"drain {TASKS} tasks, {broker}, -P {pool} -c {slots}",
                "celery",
                interleave(partial(_drain, peer, pool, slots), partial(_drain, ours, pool, slots), rounds=3),
                ratio_at_least(at_least),
                unit="/s",
                note="results kept, on Redis",
            )
            for pool, slots in POOLS
        ]


def _drain(side: Side, pool: str, slots: int) -> float:
    side.touched.write_bytes(b"")
    side.script(FILL)
    with side.worker(pool, slots):
        _wait_until(side, 1)
        begun, start = _count(side), time.perf_counter()
        _wait_until(side, TASKS)
        return (TASKS - begun) / (time.perf_counter() - start)


def _count(side: Side) -> int:
    return side.touched.stat().st_size


def _wait_until(side: Side, count: int) -> None:
    end = time.monotonic() + 120
    while _count(side) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{side.package}: {_count(side)} of {count} tasks ran in 120 s")
        time.sleep(0.001)
