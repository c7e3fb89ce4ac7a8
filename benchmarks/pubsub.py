"""The cost of messages: publish one, drain many, and the overhead of the portable type over its driver."""

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

import redis

from benchmarks.measure import (
    Bar,
    Row,
    compare,
    difference_at_most,
    elapsed_s,
    interleave,
    ratio_at_most,
)
from benchmarks.messages import ATTRIBUTES, BATCH, BODY, KIND, MANY, drained_per_s, publishing
from capa_core.blocks.pubsub import OutgoingMessage, PubSub
from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.components.sqlite.pubsub import SqlitePubSub, SqlitePubSubSettings
from capa_core.errors import CapaError
from tests.servers.redis import RedisServer

FIELDS = {"i": "1", "d": BODY, "c": KIND, "a": '{"lang": "py", "task": "orders.tasks.pay", "id": "0b6d8c0e"}'}


def run() -> list[Row]:
    """Measure publishing and draining."""
    with RedisServer.started() as server:
        return [_overhead(), _publish_on_redis(server.url), _drain_redis(server.url), _drain_sqlite()]


class _Nowhere(MemoryPubSub):
    """A driver that does nothing, so that only the calls to it are measured."""

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        del topic, messages
        return [None]


def _overhead() -> Row:
    driver = _Nowhere(MemoryPubSubSettings())
    message = (OutgoingMessage("1", BODY, KIND, ATTRIBUTES),)
    figures = compare(lambda: driver.publish("t", message), publishing(PubSub(driver)))
    return Row("publish, raw: portable over driver", "the driver", figures, difference_at_most(3e-6))


def _publish_on_redis(url: str) -> Row:
    client, pubsub = redis.Redis.from_url(url), PubSub(RedisPubSub(RedisPubSubSettings(url=url)))
    figures = compare(lambda: client.xadd("peer", FIELDS), publishing(pubsub))
    client.flushdb()
    return Row("publish one, Redis", "redis-py xadd", figures, ratio_at_most(1.3), note="1 kB body")


def _drain_redis(url: str) -> Row:
    client, pubsub = redis.Redis.from_url(url), PubSub(RedisPubSub(RedisPubSubSettings(url=url)))
    client.xgroup_create("peer", "g", mkstream=True)
    figures = interleave(lambda: _drain_streams(client), lambda: drained_per_s(pubsub))
    note = f"{MANY} messages of 1 kB in batches of {BATCH}, acknowledged and deleted"
    return Row("drain, Redis", "redis-py streams", figures, Bar(30_000, "ours", at_least=True), "/s", note)


def _drain_streams(client: redis.Redis) -> float:
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(MANY):
            pipeline.xadd("peer", FIELDS)
        pipeline.execute()

    def drain() -> None:
        while answer := client.xreadgroup("g", "c", {"peer": ">"}, count=BATCH):
            ids = [ident for ident, _ in answer[0][1]]
            with client.pipeline(transaction=False) as pipeline:
                pipeline.xack("peer", "g", *ids).xdel("peer", *ids).execute()

    return MANY / elapsed_s(drain)


def _drain_sqlite() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        pubsub = PubSub(SqlitePubSub(SqlitePubSubSettings(folder=Path(folder))))
        peer = sqlite3.connect(Path(folder, "peer.db"), isolation_level=None)
        peer.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE q (id INTEGER PRIMARY KEY, body)"
        )
        figures = interleave(lambda: _drain_table(peer), lambda: drained_per_s(pubsub))
        pubsub.close()
        peer.close()
    note = f"{MANY} messages of 1 kB in batches of {BATCH}; the peer deletes as it reads, and loses messages in a crash"
    return Row("drain, SQLite", "sqlite3, one table", figures, Bar(10_000, "ours", at_least=True), "/s", note)


def _drain_table(peer: sqlite3.Connection) -> float:
    peer.execute("BEGIN")
    peer.executemany("INSERT INTO q (body) VALUES (?)", [(BODY,)] * MANY)
    peer.execute("COMMIT")
    take = "DELETE FROM q WHERE id IN (SELECT id FROM q ORDER BY id LIMIT ?) RETURNING body"

    def drain() -> None:
        while peer.execute(take, (BATCH,)).fetchall():
            pass

    return MANY / elapsed_s(drain)
