"""The SQL of inspection and `purge` of queues; the tables are those of `_queue`."""

from __future__ import annotations

from capa_core.blocks.pubsub.driver import attributes_in
from capa_core.blocks.pubsub.inspection import (
    GroupStatus,
    MessageState,
    PeekedMessage,
    TopicStatus,
)
from capa_core.components.postgres._connection import Row
from capa_core.components.postgres._queue import KEPT, LIVING

_NOT_EXPIRED = "NOT (count = 0 AND expires_at IS NOT NULL AND expires_at <= now())"
# A group that does not exist would find the messages that wait for the first one.
_QUEUE_OR_KEPT = f"""
SELECT id FROM capa.queue WHERE topic = %(topic)s AND name IN (%(name)s, '') AND {LIVING} ORDER BY name = '' LIMIT 1
"""
TOPICS = "SELECT DISTINCT topic FROM capa.queue WHERE topic > %(after)s ORDER BY topic LIMIT %(most)s"
DEPTH = f"SELECT count(*) FROM capa.message WHERE queue = ({_QUEUE_OR_KEPT}) AND {_NOT_EXPIRED}"
INSPECT = f"""
SELECT name, abandoned_at IS NOT NULL, found.*
FROM capa.queue LEFT JOIN LATERAL (
    SELECT count(*), count(*) FILTER (WHERE count > 0 AND visible_at > now()),
        extract(epoch FROM now() - min(published_at) FILTER (WHERE isfinite(published_at)))::float8
    FROM capa.message WHERE queue = queue.id AND {_NOT_EXPIRED}
) AS found ON true
WHERE topic = %(topic)s AND {LIVING} ORDER BY name
"""
PEEK = f"""
SELECT seq, urgency, count,
    CASE WHEN isfinite(published_at) THEN extract(epoch FROM published_at)::float8 ELSE 0 END,
    key, id, content_type, attributes,
    substring(data FOR %(max_bytes)s), octet_length(data),
    CASE WHEN visible_at IS NULL THEN '{MessageState.BEHIND}'
        WHEN visible_at <= now() THEN '{MessageState.READY}'
        WHEN count = 0 THEN '{MessageState.DELAYED}'
        ELSE '{MessageState.IN_FLIGHT}' END
FROM capa.message WHERE queue = ({_QUEUE_OR_KEPT}) AND {_NOT_EXPIRED} AND seq > %(after)s ORDER BY seq LIMIT %(most)s
"""
PURGE = """
WITH gone AS (
    DELETE FROM capa.message WHERE queue IN (SELECT id FROM capa.queue WHERE topic = %(topic)s) RETURNING id
)
SELECT count(DISTINCT id) FROM gone
"""
PURGE_GROUP = f"""
WITH gone AS (
    DELETE FROM capa.message
    WHERE queue = (SELECT id FROM capa.queue WHERE topic = %(topic)s AND name = %(name)s)
    RETURNING {_NOT_EXPIRED} AS counts
)
SELECT count(*) FILTER (WHERE counts) FROM gone
"""


def topic_status(topic: str, rows: list[Row]) -> TopicStatus:
    """Return the status of *topic*, whose groups are *rows* of INSPECT."""
    found = [
        GroupStatus(name=name, temporary=temporary, depth=depth, in_flight=in_flight, oldest_s=oldest_s)
        for name, temporary, depth, in_flight, oldest_s in rows
    ]
    groups = tuple(group for group in found if group.name != KEPT)
    kept = next((group for group in found if group.name == KEPT), None)
    if kept is None or any(not group.temporary for group in groups):
        return TopicStatus(name=topic, groups=groups)
    return TopicStatus(name=topic, groups=groups, kept=kept.depth, oldest_s=kept.oldest_s)


def peeked(row: Row) -> PeekedMessage:
    """Return one row of PEEK."""
    seq, urgency, count, published_at, key, ident, content_type, attributes, data, size, state = row
    return PeekedMessage(
        position=str(seq),
        id=ident.decode(),
        data=data,
        size=size,
        content_type=content_type,
        attributes=attributes_in(attributes) or {},
        key=key.decode(),
        priority=9 - urgency,
        delivery_count=count,
        published_at=published_at,
        state=MessageState(state),
    )
