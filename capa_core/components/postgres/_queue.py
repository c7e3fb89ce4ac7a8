"""The SQL of pub/sub: one table of queues, one for each topic and group, and one of the messages in them.

`visible_at` is the state of a message: `-infinity` is ready and new; RETURNED is ready again; another time is hidden
until then, because it is delayed, rejected or leased; NULL is behind another message of its key. A receipt is
`(seq, count)`: the next delivery has a different count. Time is the server's.

Publishers lock the rows of temporary queues against removal (FOR KEY SHARE), so that no message is left in a queue that
is gone. Two advisory locks order what rows cannot: one for each topic when its groups change, and one for each key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from capa_core.blocks.pubsub.over_tables import Receipt
from capa_core.components.postgres import _fronts, _waiting
from capa_core.components.postgres._connection import Connection
from capa_core.components.postgres._fronts import RETURNED

_TABLES = """
CREATE TABLE capa.queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    name text NOT NULL,
    abandoned_at timestamptz, -- when a temporary group is removed, unless its consumer renews it
    UNIQUE (topic, name)
);
CREATE TABLE capa.message (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue bigint NOT NULL,
    visible_at timestamptz,
    urgency smallint NOT NULL, -- 9 - priority
    count integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL, -- the earliest delivery, once it is the first of its key
    expires_at timestamptz,
    published_at timestamptz NOT NULL,
    key bytea NOT NULL, -- as is the id: text cannot hold every character
    id bytea NOT NULL,
    content_type text NOT NULL,
    attributes text NOT NULL, -- as JSON, or nothing
    data bytea NOT NULL
-- Each message is one dead row after its lease, and one more when it is removed.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, fillfactor = 70);
ALTER TABLE capa.message ALTER COLUMN data SET STORAGE EXTERNAL; -- to compress takes longer than to write
CREATE INDEX message_ready ON capa.message (queue, urgency, seq) WHERE visible_at = '-infinity';
CREATE INDEX message_hidden ON capa.message (queue, visible_at) WHERE visible_at > '-infinity';
CREATE INDEX message_by_key ON capa.message (queue, key, seq) WHERE key <> '';
CREATE INDEX message_by_expiry ON capa.message (expires_at) WHERE expires_at IS NOT NULL;
"""
# Of the version before: its processes may still run when a newer one has brought the tables up to date.
_LEASE_FUNCTION = """
CREATE FUNCTION capa.lease(queue bigint, most integer, lease_s float8) RETURNS TABLE (
    urgency smallint, seq bigint, count integer, is_late boolean, published_at float8,
    key bytea, id bytea, content_type text, attributes text, data bytea
) LANGUAGE plpgsql SET enable_bitmapscan = off SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    chosen bigint[];
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    WITH ready AS MATERIALIZED (
        SELECT seq, urgency FROM capa.message WHERE queue = lease.queue AND visible_at = '-infinity'
        ORDER BY urgency, seq LIMIT most FOR UPDATE SKIP LOCKED
    ), due AS MATERIALIZED (
        SELECT seq, urgency FROM capa.message
        WHERE queue = lease.queue AND visible_at > '-infinity' AND visible_at <= now()
        ORDER BY visible_at LIMIT most FOR UPDATE SKIP LOCKED
    ), both_kinds AS (
        SELECT seq FROM (TABLE ready UNION ALL TABLE due) AS available ORDER BY urgency, seq LIMIT most
    )
    SELECT array_agg(seq) INTO chosen FROM both_kinds;
    RETURN QUERY UPDATE capa.message
    SET visible_at = now() + lease_s * interval '1 s', count = least(message.count, 2147483646) + 1
    WHERE seq = ANY (chosen)
    RETURNING message.urgency, message.seq, message.count,
        message.count = 1 AND message.expires_at IS NOT NULL AND message.expires_at <= now(),
        CASE WHEN isfinite(message.published_at) THEN extract(epoch FROM message.published_at)::float8 ELSE 0 END,
        message.key, message.id, message.content_type, message.attributes, message.data;
END $$;
"""
_PUBLISHED = """
CREATE TABLE capa.published (
    topic text NOT NULL,
    id bytea NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (topic, id)
);
CREATE INDEX published_by_end ON capa.published (until);
"""
STEPS = (_TABLES + _LEASE_FUNCTION, _PUBLISHED, _fronts.STEP, _waiting.STEP)

LIVING = "(abandoned_at IS NULL OR abandoned_at > now())"
LOCK_TOPIC = "SELECT pg_advisory_xact_lock(hashtextextended('capa topic ' || %(topic)s, 0))"
# In the order of their numbers, so that no two transactions wait for each other.
LOCK_KEYS = """
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended('capa key ' || encode(key, 'hex'), 0) AS number
    FROM unnest(%(keys)b::bytea[]) AS key
    ORDER BY number
) AS numbers
"""
_QUEUE = "SELECT id FROM capa.queue WHERE topic = %(topic)s AND name = %(name)s"
_BECOME = "UPDATE capa.queue SET name = %(name)s WHERE topic = %(topic)s AND name = '' RETURNING id"
_CREATE = """
INSERT INTO capa.queue (topic, name, abandoned_at)
VALUES (%(topic)s, %(name)s, now() + %(life_s)s::float8 * interval '1 s') RETURNING id
"""
_DROP = "DELETE FROM capa.queue WHERE id = %(queue)s"
_DROP_MESSAGES = "DELETE FROM capa.message WHERE queue = %(queue)s"
_DROP_FRONT = "DELETE FROM capa.front WHERE queue = %(queue)s"
_ABANDONED = "SELECT id FROM capa.queue WHERE abandoned_at <= now()"
RENEW = """
UPDATE capa.queue SET abandoned_at = now() + %(life_s)s * interval '1 s'
WHERE id = %(queue)s AND abandoned_at > now() RETURNING id
"""

# By the places of the rows, which `choose` has locked: to look each up in an index takes longer.
LEASE = """
UPDATE capa.message
SET visible_at = now() + %(lease_s)s::float8 * interval '1 s', count = least(message.count, 2147483646) + 1
WHERE ctid = ANY ((SELECT capa.choose(%(queue)s, %(most)s::integer))::tid[])
RETURNING urgency, seq, count, count = 1 AND expires_at IS NOT NULL AND expires_at <= now(),
    CASE WHEN isfinite(published_at) THEN date_part('epoch', published_at) ELSE 0 END,
    key, id, content_type, attributes, data
"""
# Leases need not wait for the disk: one that a crash of the server takes back is a redelivery.
_LAZILY = "lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"
_UNLOCKED = "FOR UPDATE SKIP LOCKED"
NEXT = "SELECT capa.next_in_s(%(queue)s)"
"""Seconds until a message is available; NULL if there is none."""
_CURRENT = """
FROM unnest(%(seqs)s::bigint[], %(counts)s::integer[]) AS receipt (seq, times)
"""
# Nearly always all have one count: a join with counts takes three times as long.
REMOVE = "DELETE FROM capa.message WHERE seq = ANY (%(seqs)s::bigint[]) AND count = %(count)s"
_REMOVE_WITH_KEYS = f"""
DELETE FROM capa.message USING (SELECT * {_CURRENT}) AS receipt
WHERE message.seq = receipt.seq AND message.count = receipt.times RETURNING message.queue, message.key
"""
_NEXT_OF_KEY = f"""
UPDATE capa.message SET visible_at = CASE WHEN due <= now() THEN {RETURNED} ELSE due END
WHERE visible_at IS NULL AND seq IN (
    SELECT (SELECT min(seq) FROM capa.message AS other WHERE other.queue = freed.queue AND other.key = freed.key
        AND other.key <> '')
    FROM unnest(%(queues)s::bigint[], %(keys)b::bytea[]) AS freed (queue, key)
)
"""
HIDE = f"""
WITH {_LAZILY}
UPDATE capa.message
SET visible_at = CASE %(seconds)s::float8 WHEN 0 THEN {RETURNED} ELSE now() + %(seconds)s * interval '1 s' END
FROM (SELECT * {_CURRENT}) AS receipt, lazily
WHERE message.seq = receipt.seq AND message.count = receipt.times RETURNING message.seq, message.count
"""
RELEASE = f"""
WITH {_LAZILY}
UPDATE capa.message SET visible_at = {RETURNED}, count = count - 1
FROM (SELECT * {_CURRENT}) AS receipt, lazily
WHERE message.seq = receipt.seq AND message.count = receipt.times
"""
_EXPIRED = f"""
SELECT seq, count, key FROM capa.message WHERE expires_at <= now() AND count = 0
LIMIT %(most)s {_UNLOCKED}
"""


def numbers_of(receipts: Sequence[Receipt]) -> dict[str, str]:
    """Return *receipts* as values of the statements that settle them."""
    return {"seqs": _array(one.seq for one in receipts), "counts": _array(one.times for one in receipts)}


def removals(receipts: Sequence[Receipt]) -> list[tuple[str, dict[str, object]]]:
    """Return the statements, with their values, that delete those messages that were not redelivered."""
    by_count: defaultdict[int, list[int]] = defaultdict(list)
    for one in receipts:
        by_count[one.times].append(one.seq)
    return [(REMOVE, {"seqs": _array(seqs), "count": count}) for count, seqs in by_count.items()]


def _array(numbers: Iterable[int]) -> str:
    """Return an array as text: psycopg takes ten times as long for one of numbers."""
    return "{" + ",".join(map(str, numbers)) + "}"


def join(connection: Connection, topic: str, group: str, life_s: float | None) -> int:
    """Return the queue of *group*, created if necessary; the first permanent one gets the waiting messages.

    Args:
        life_s: Seconds until a temporary group is removed unless it is renewed; `None` for a permanent group.
    """
    found = connection.run(_QUEUE, topic=topic, name=group)
    if found and life_s is None:
        return int(found[0][0])
    connection.run(LOCK_TOPIC, topic=topic)
    drop_abandoned(connection)
    found = connection.run(_QUEUE, topic=topic, name=group)
    if not found and life_s is None:
        found = connection.run(_BECOME, topic=topic, name=group)
    return int((found or connection.run(_CREATE, topic=topic, name=group, life_s=life_s))[0][0])


def drop(connection: Connection, queue: int) -> None:
    """Delete a queue with its messages."""
    connection.run(_DROP, queue=queue)  # first: it waits for the publishers that have locked the row
    connection.run(_DROP_MESSAGES, queue=queue)
    connection.run(_DROP_FRONT, queue=queue)


def drop_abandoned(connection: Connection) -> None:
    """Delete the temporary groups that were not renewed in time."""
    for (queue,) in connection.run(_ABANDONED):
        drop(connection, queue)


def remove(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Delete those messages that were not redelivered, and make the next ones of their keys available."""
    keys = [one.key for one in receipts if one.key]
    if not keys:
        for query, values in removals(receipts):
            connection.run(query, **values)
        return
    connection.run(LOCK_KEYS, keys=keys)
    freed = [row for row in connection.run(_REMOVE_WITH_KEYS, **numbers_of(receipts)) if row[1]]
    if freed:
        queues = [queue for queue, _ in freed]
        connection.run(_NEXT_OF_KEY, queues=queues, keys=[key for _, key in freed])


def remove_expired(connection: Connection, most: int) -> int:
    """Delete up to *most* messages that expired before a delivery, and return their number."""
    expired = [Receipt(*row) for row in connection.run(_EXPIRED, most=most)]
    if expired:
        remove(connection, expired)
    return len(expired)
