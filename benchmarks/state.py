"""The cost of reading, writing and waiting for a value on each engine, compared with the engine's client."""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import redis

from benchmarks.measure import (
    Row,
    compare,
    elapsed_s,
    interleave,
    ours_at_most,
    ratio_at_least,
    ratio_at_most,
)
from capa_core.blocks.state import State
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.components.sqlite.state import SqliteState
from tests.servers.redis import RedisServer

VALUE = b"x" * 100
THREADS = 16
WRITES = 50
WAKES = 50


def run() -> list[Row]:
    """Compare with redis-py on the same server, and with the sqlite3 module on an equally durable file."""
    with ExitStack() as stack:
        url = stack.enter_context(RedisServer.started()).url
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        on_redis = stack.enter_context(State(RedisState(RedisStateSettings(url=url))))
        on_sqlite = stack.enter_context(State(SqliteState(SqliteState.settings_type(folder=folder / "ours"))))
        return [*_redis(on_redis, redis.Redis.from_url(url)), *_sqlite(on_sqlite, _Bare(folder / "peer.db"))]


def _redis(state: State, bare: redis.Redis) -> list[Row]:
    pipeline = bare.pipeline(transaction=False)
    bare.set("k", VALUE)
    state.put("k", VALUE)
    get = compare(lambda: bare.get("k"), lambda: state.get("k"))
    put = compare(lambda: bare.set("k", VALUE), lambda: state.put("k", VALUE))
    notify = compare(
        lambda: pipeline.set("k", VALUE, ex=60).publish("k", VALUE).execute(),
        lambda: state.put("k", VALUE, ttl=60, notify=True),
    )
    wake = interleave(lambda: _pubsub_s(bare), lambda: _wait_s(state))
    return [
        Row("state get, Redis", "redis-py", get, ratio_at_most(1.3)),
        Row("state put, Redis", "redis-py", put, ratio_at_most(1.3)),
        Row(
            "state put with notice, Redis",
            "redis-py",
            notify,
            ratio_at_most(1.3),
            note="SET and PUBLISH: one trip on both sides",
        ),
        Row("state wait: put to woken, Redis", "redis-py pubsub", wake, ours_at_most(1e-3)),
    ]


def _sqlite(state: State, bare: "_Bare") -> list[Row]:
    state.put("k", VALUE)
    bare.put("k")
    get = compare(lambda: bare.get("k"), lambda: state.get("k"))
    put = compare(lambda: bare.put("k"), lambda: state.put("k", VALUE))
    together = interleave(
        lambda: THREADS * WRITES / elapsed_s(lambda: [bare.put("k") for _ in range(THREADS * WRITES)]),
        lambda: THREADS * WRITES / elapsed_s(lambda: _put_together(state)),
    )
    wake = interleave(lambda: median(_polled_s(bare) for _ in range(WAKES)), lambda: _wait_s(state))
    return [
        Row("state get, SQLite", "sqlite3", get, ratio_at_most(3)),
        Row(
            "state put, SQLite",
            "sqlite3",
            put,
            ratio_at_most(1.3),
            note="WAL, synchronous FULL on both sides",
        ),
        Row(
            f"state puts by {THREADS} threads, SQLite",
            "sqlite3, one thread",
            together,
            ratio_at_least(1.5),
            unit="/s",
            note="group commit: waiting threads share an fsync",
        ),
        Row("state wait: put to woken, SQLite", "polling each ms", wake, ours_at_most(1e-3)),
    ]


class _Bare:
    """A hand-written store: a table, WAL, synchronous FULL."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE kv (k TEXT PRIMARY KEY, v BLOB)"
        )

    def get(self, key: str) -> bytes | None:
        row = self._connection.execute("SELECT v FROM kv WHERE k = ?", (key,)).fetchone()
        return row and row[0]

    def put(self, key: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (key, VALUE))

    def delete(self, key: str) -> None:
        self._connection.execute("DELETE FROM kv WHERE k = ?", (key,))


def _put_together(state: State) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda n: [state.put(f"k{n}", VALUE) for _ in range(WRITES)], range(THREADS)))


def _wait_s(state: State) -> float:
    """Return the median seconds from a put with notice to the return of its waiter."""

    def once(number: int) -> float:
        key = f"wait-{number}"
        return _woken_s(
            lambda: state.wait(key, timeout=10), lambda: state.put(key, VALUE, ttl=60, notify=True)
        )

    times = [once(number) for number in range(WAKES)]
    state.delete_many(f"wait-{number}" for number in range(WAKES))
    return median(times)


def _pubsub_s(bare: redis.Redis) -> float:
    with bare.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("channel")
        subscription.get_message(timeout=1)
        return median(
            _woken_s(lambda: subscription.get_message(timeout=10), lambda: bare.publish("channel", VALUE))
            for _ in range(WAKES)
        )


def _polled_s(bare: _Bare) -> float:
    def poll() -> None:
        while bare.get("polled") is None:
            time.sleep(0.001)

    bare.delete("polled")
    return _woken_s(poll, lambda: bare.put("polled"))


def _woken_s(wait: Callable[[], object], write: Callable[[], object]) -> float:
    with ThreadPoolExecutor(1) as pool:
        woken = pool.submit(lambda: (wait(), time.perf_counter())[1])
        time.sleep(0.003)  # so that the wait has begun
        written = time.perf_counter()
        write()
        return woken.result() - written
