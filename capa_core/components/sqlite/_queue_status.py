"""The SQL of inspection and `purge` of queues; the tables are those of `_queue`."""

from __future__ import annotations

import time

from capa_core.blocks.pubsub.inspection import (
    KEPT,
    GroupStatus,
    PeekedMessage,
    TopicStatus,
    number_of_position,
)
from capa_core.blocks.pubsub.over_tables import peeked, state_sql
from capa_core.components.sqlite._queue import depth_of
from capa_core.components.sqlite._uptime import Connection

_TOPICS = "SELECT DISTINCT topic FROM queue WHERE topic > ? ORDER BY topic LIMIT ?"
_QUEUES = """
SELECT id, name, abandoned_at IS NOT NULL FROM queue
WHERE topic = ? AND ifnull(abandoned_at > ?, 1) ORDER BY name
"""
_IN_FLIGHT = "SELECT count(*) FROM message WHERE queue = ? AND visible_at > ? AND count > 0"
# The least number is the first entry of the index among messages of one state and urgency. Only those that are hidden
# until some time, as leased ones are, are looked at one by one.
_OLDEST = """
WITH urgencies (urgency) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)),
oldest (seq) AS (
    SELECT (
        SELECT min(seq) FROM message WHERE queue = :queue AND visible_at = 0 AND urgency = urgencies.urgency
    ) FROM urgencies
    UNION ALL SELECT (
        SELECT min(seq) FROM message WHERE queue = :queue AND visible_at IS NULL AND urgency = urgencies.urgency
    ) FROM urgencies
    UNION ALL SELECT min(seq) FROM message INDEXED BY message_by_turn WHERE queue = :queue AND visible_at > 0
)
SELECT CAST(published_at AS REAL) FROM message WHERE seq = (SELECT min(seq) FROM oldest)
"""
_PEEK = f"""
SELECT seq, CAST(urgency AS INTEGER), count, CAST(published_at AS REAL), key, id, content_type, attributes,
    ifnull(substr(CAST(data AS BLOB), 1, :max_bytes), x''), length(CAST(data AS BLOB)),
    {state_sql(":now")}
FROM message WHERE queue = :queue AND NOT (count = 0 AND ifnull(expires_at <= :now, 0)) AND seq > :after
ORDER BY seq LIMIT :most
"""
_PURGE = "DELETE FROM message WHERE queue = ?"


def topics(connection: Connection, after: str, most: int) -> list[str]:
    """Return up to *most* names of topics after *after*, in order."""
    return [topic for (topic,) in connection.execute(_TOPICS, (after, most))]


def inspect(connection: Connection, topic: str) -> TopicStatus:
    """Return the status of *topic* and its groups."""
    queues = connection.execute(_QUEUES, (topic, connection.now())).fetchall()
    found = [_status(connection, ident, name, temporary=bool(temporary)) for ident, name, temporary in queues]
    return TopicStatus.of(topic, found)


def peek(
    connection: Connection, topic: str, group: str, most: int, *, after: str, max_bytes: int
) -> list[PeekedMessage]:
    """Return up to *most* messages of *group*, or of those that wait for a group, after the number *after*."""
    number = number_of_position(after)
    queue = _queue(connection, topic, group) or _queue(connection, topic, KEPT)
    if queue is None:
        return []
    values = {"queue": queue, "now": connection.now(), "after": number, "most": most, "max_bytes": max_bytes}
    return [peeked(row) for row in connection.execute(_PEEK, values)]


def purge(connection: Connection, topic: str, group: str) -> int:
    """Delete the messages of *group* and return their number."""
    queue = _queue(connection, topic, group)
    if queue is None:
        return 0
    depth = depth_of(connection, queue)
    connection.execute(_PURGE, (queue,))
    return depth


def _queue(connection: Connection, topic: str, group: str) -> int | None:
    row = connection.execute("SELECT id FROM queue WHERE topic = ? AND name = ?", (topic, group)).fetchone()
    return None if row is None else int(row[0])


def _status(connection: Connection, queue: int, name: str, *, temporary: bool) -> GroupStatus:
    now = connection.now()
    depth = depth_of(connection, queue)
    (in_flight,) = connection.execute(_IN_FLIGHT, (queue, now)).fetchone()
    oldest = connection.execute(_OLDEST, {"queue": queue}).fetchone() if depth else None
    return GroupStatus(
        name=name,
        depth=depth,
        in_flight=in_flight,
        oldest_s=None if oldest is None else max(0.0, time.time() - oldest[0]),
        temporary=temporary,
    )
