"""Queues on PostgreSQL: a lease looks where messages may be ready, and not at those that are gone."""

from contextlib import contextmanager

import psycopg
import pytest
from reliability.programs.capa import open_pubsub

from capa_core.blocks.pubsub.over_tables import Receipt
from capa_core.components.postgres import _queue
from capa_core.conformance._tolerance import SLOW_MACHINE_S

pytestmark = [pytest.mark.server("postgres"), pytest.mark.timeout(120)]

DRAINED = 2_000
# A late message: one that got its number, and was not committed, before those that were received.
LATE = """
INSERT INTO capa.message (queue, visible_at, urgency, due, published_at, key, id, content_type, attributes, data)
SELECT queue, visible_at, urgency, due, published_at, key, 'late', content_type, attributes, 'late'
FROM capa.message LIMIT 1
"""


@pytest.fixture
def settings(postgres_url, postgres_schema):
    return {"url": postgres_url, "schema_name": postgres_schema}


class Other:
    """Statements of another program, about the tables of the schema."""

    def __init__(self, connection, schema):
        self._connection = connection
        self._schema = schema

    def run(self, query):
        return self._connection.execute(query.replace("capa.", f'"{self._schema}".'))

    def look_again(self):
        """Have the next lease look from the beginning."""
        self.run("UPDATE capa.front SET look_at = '-infinity'")

    def blocks_of_a_lease(self):
        """Return how many blocks a lease of one message reads."""
        plan = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT capa.choose(min(id), 1) FROM capa.queue"
        ((found,),) = self.run(plan).fetchall()
        return found[0]["Plan"]["Shared Hit Blocks"] + found[0]["Plan"]["Shared Read Blocks"]


@contextmanager
def opened(settings):
    """Open pub/sub, and a connection of another program."""
    with (
        open_pubsub("postgres", settings) as pubsub,
        psycopg.connect(settings["url"], autocommit=True) as connection,
    ):
        yield pubsub, Other(connection, settings["schema_name"])


def drain(consumer, count):
    while count:
        messages = consumer.receive(count, SLOW_MACHINE_S)
        consumer.ack(messages)
        count -= len(messages)


def test_a_lease_does_not_step_over_drained_messages(settings):
    with opened(settings) as (pubsub, other):
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish_many("t", [b"x"] * (DRAINED + 3), raw=True)
        other.run("ALTER TABLE capa.message SET (autovacuum_enabled = off)")
        drain(consumer, DRAINED)
        other.look_again()
        before = other.blocks_of_a_lease()
        for _ in range(2):  # what the first look finds, the second one uses
            other.look_again()
            drain(consumer, 1)
        after = other.blocks_of_a_lease()

        assert after < before / 4


def test_a_message_that_is_committed_late_is_received(settings):
    with opened(settings) as (pubsub, other):
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish_many("t", [b"x"] * 5, raw=True)
        with psycopg.connect(settings["url"]) as late:
            Other(late, settings["schema_name"]).run(LATE)
            pubsub.publish_many("t", [b"x"] * 5, raw=True)
            for _ in range(3):
                other.look_again()
                drain(consumer, 3)
            late.commit()
        rest = []
        while len(rest) < 2:
            rest += [message.data for message in consumer.receive(2, SLOW_MACHINE_S)]

        assert [b"late", b"x"] == sorted(rest)


def test_no_statement_reads_a_whole_table(settings):
    """Not even an empty one: the plan of a prepared statement stays when a backlog comes."""
    held = [Receipt(1, 1, b"")]
    statements = [
        (_queue.LEASE, {"queue": 1, "most": 1, "lease_s": 1.0}),
        (_queue.HIDE, {"seconds": 1.0, **_queue.numbers_of(held)}),
        (_queue.RELEASE, _queue.numbers_of(held)),
        *_queue.removals(held),
    ]
    with opened(settings) as (pubsub, _):
        pubsub.consumer("t")
        database = pubsub._driver.database
        plans = [database.run(f"EXPLAIN {query}", **values) for query, values in statements]

        assert [] == [line for plan in plans for (line,) in plan if "Seq Scan" in line]


def test_an_idle_queue_is_not_written(settings):
    with opened(settings) as (pubsub, other):
        consumer = pubsub.consumer("t", raw=True)
        versions = []
        for _ in range(2):
            consumer.receive(1, 0)
            versions += other.run("SELECT xmin::text FROM capa.front").fetchall()

        assert versions[0] == versions[1]


def test_leases_end_after_the_clock_of_the_server_was_set_back(settings):
    with opened(settings) as (pubsub, other):
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish("t", b"x", raw=True)
        consumer.nack(consumer.receive(1, SLOW_MACHINE_S), 0.2)
        ahead = "now() + interval '1 hour'"  # as a look before would have found it
        other.run(f"UPDATE capa.front SET look_at = {ahead}, due_after = {ahead}, next_due_after = {ahead}")
        again = consumer.receive(1, 4 * SLOW_MACHINE_S)

        assert [b"x"] == [message.data for message in again]


def test_the_most_urgent_of_returned_messages_comes_first(settings):
    with opened(settings) as (pubsub, _):
        consumer = pubsub.consumer("t", raw=True)
        for priority in (0, 5, 9):
            pubsub.publish("t", b"%d" % priority, priority=priority, raw=True)
        consumer.nack(consumer.receive(3, SLOW_MACHINE_S))
        again = [consumer.receive(1, SLOW_MACHINE_S)[0].data for _ in range(3)]

        assert [b"9", b"5", b"0"] == again
