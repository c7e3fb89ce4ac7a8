"""The SQL of inspection and `purge` of queues; the tables are those of `_queue`."""

from __future__ import annotations

from capa_core.blocks.pubsub.inspection import GroupStatus, TopicStatus
from capa_core.blocks.pubsub.over_tables import state_sql
from capa_core.components.postgres._queue import LIVING
from capa_core.components.postgres._timed import Row

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
    {state_sql("now()")}
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
    return TopicStatus.of(topic, found)
