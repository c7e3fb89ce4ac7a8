"""The cost of messages on PostgreSQL: publish one or many, and drain many, with commits that wait for the disk."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.measure import Row, compare, elapsed_s, interleave, ratio_at_least, ratio_at_most
from benchmarks.messages import BATCH, BODY, MANY, drained_per_s, many_per_s, opened
from capa_core.components.postgres.pubsub import PostgresPubSub
from tests.servers.postgres import PostgresServer

PEER = "a table of psycopg's"
SAME = "1 kB, synchronous_commit on"

# The peer's messages have a body and nothing else; it takes a batch under a lock that lasts until they are removed.
_TABLE = "CREATE TABLE peer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data bytea NOT NULL)"
_ADD = "INSERT INTO peer (data) VALUES (%b)"
_TAKE = "SELECT id, data FROM peer ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"
_REMOVE = "DELETE FROM peer WHERE id = ANY(%s)"


def run() -> list[Row]:
    """Measure both sides on one server."""
    with PostgresServer.started() as server, _peer(server.url) as peer, opened(_driver(server.url)) as ours:
        one = compare(lambda: peer.execute(_ADD, [BODY]), lambda: ours.publish("t", BODY, raw=True))
        many = interleave(
            lambda: BATCH / elapsed_s(lambda: _add(peer, BATCH)),
            lambda: many_per_s(ours),
        )
        peer.execute("TRUNCATE peer")
        ours.purge("t")
        drained = interleave(lambda: _drain_peer(peer), lambda: drained_per_s(ours))
        note = f"{MANY} messages of 1 kB in batches of {BATCH}, removed together"
        return [
            Row("publish one, PostgreSQL", PEER, one, ratio_at_most(1.2), note=SAME),
            Row("publish many, PostgreSQL", PEER, many, ratio_at_least(0.7), "/s", SAME),
            Row("drain, PostgreSQL", PEER, drained, ratio_at_least(0.7), "/s", note),
        ]


@contextmanager
def _peer(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLE)
        yield connection


def _driver(url: str) -> PostgresPubSub:
    return PostgresPubSub(PostgresPubSub.settings_type(url=url))


def _add(peer: psycopg.Connection, count: int) -> None:
    with peer.transaction(), peer.cursor() as cursor:
        cursor.executemany(_ADD, [[BODY]] * count)


def _drain_peer(peer: psycopg.Connection) -> float:
    _add(peer, MANY)

    def drain() -> None:
        left = MANY
        while left:
            with peer.transaction():
                rows = peer.execute(_TAKE, [BATCH], binary=True).fetchall()
                peer.execute(_REMOVE, [[row[0] for row in rows]])
            left -= len(rows)

    return MANY / elapsed_s(drain)
