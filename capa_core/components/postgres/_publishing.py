"""The SQL of publishing; the tables are those of `_queue`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from capa_core.blocks.pubsub.driver import OutgoingMessage, attributes_text
from capa_core.components.postgres._connection import Connection
from capa_core.components.postgres._queue import LIVING, LOCK_KEYS, LOCK_TOPIC
from capa_core.components.postgres._settings import LONGEST_S

T = TypeVar("T")

_TARGETS = f"""
SELECT id FROM capa.queue AS target
WHERE topic = %(topic)s AND {LIVING} AND (
    name <> '' OR NOT EXISTS (
        SELECT FROM capa.queue WHERE topic = %(topic)s AND name <> '' AND {LIVING}
    )
)
FOR KEY SHARE OF target
"""
_ONE = """(
    SELECT %(urgency)s::smallint AS urgency, %(delay)s::float8 AS delay, %(ttl)s::float8 AS ttl, %(key)b::bytea AS key,
        %(id)b::bytea AS id, %(type)s::text AS type, %(attributes)s::text AS attributes, %(data)b::bytea AS data,
        1 AS place
) AS given"""
# An array of one value is that of all messages: to write a hundred of them takes longer than the rest.
_MANY = """(
    SELECT coalesce(urgency, (%(urgency)s::smallint[])[1]) AS urgency,
        coalesce(delay, (%(delay)s::float8[])[1]) AS delay, ttl, ''::bytea AS key, id,
        coalesce(type, (%(type)s::text[])[1]) AS type,
        coalesce(attributes, (%(attributes)s::text[])[1]) AS attributes, data, place
    FROM unnest(
        %(urgency)s::smallint[], %(delay)s::float8[], %(ttl)s::float8[], %(id)b::bytea[], %(type)s::text[],
        %(attributes)s::text[], %(data)b::bytea[]
    ) WITH ORDINALITY AS each (urgency, delay, ttl, id, type, attributes, data, place)
) AS given"""
_AT_ONCE = "new.due"
_IN_ORDER = """CASE WHEN EXISTS (
    SELECT FROM capa.message AS other WHERE other.queue = target.id AND other.key = new.key AND other.key <> ''
) THEN NULL ELSE new.due END"""


def _add(given: str, visible_at: str) -> str:
    return f"""
INSERT INTO capa.message
    (queue, visible_at, urgency, due, expires_at, published_at, key, id, content_type, attributes, data)
SELECT target.id, {visible_at}, urgency, due, due_by, clock_timestamp(), key, new.id, type, attributes, data
FROM ({_TARGETS}) AS target, (
    SELECT *,
        CASE delay WHEN 0 THEN '-infinity' ELSE now() + delay * interval '1 s' END AS due,
        now() + least(ttl, {LONGEST_S}) * interval '1 s' AS due_by
    FROM {given}
) AS new
ORDER BY target.id, place
"""


_ADD_ONE = _add(_ONE, _AT_ONCE)
_ADD_MANY = _add(_MANY, _AT_ONCE)
# One by one: the second message of a key in one batch must find the first.
_ADD_IN_ORDER = _add(_ONE, _IN_ORDER)
_KEEP = """
INSERT INTO capa.queue (topic, name) SELECT %(topic)s, ''
WHERE NOT EXISTS (SELECT FROM capa.queue WHERE topic = %(topic)s AND name <> '' AND abandoned_at IS NULL)
ON CONFLICT DO NOTHING
"""


def statement(topic: str, messages: Sequence[OutgoingMessage]) -> tuple[str, dict[str, object]]:
    """Return the statement that appends *messages*, without keys, and its values; without a queue it adds none."""
    if len(messages) == 1:
        return _ADD_ONE, _one(topic, messages[0])
    return _ADD_MANY, _many(topic, messages)


def add(connection: Connection, topic: str, messages: Sequence[OutgoingMessage]) -> None:
    """Append *messages* in the present transaction, in their order by key, and make the queue if there is none."""
    keys = [message.key.encode() for message in messages if message.key]
    if not keys:
        _add_or_keep(connection, *statement(topic, messages))
        return
    connection.run(LOCK_KEYS, keys=keys)
    for message in messages:
        _add_or_keep(connection, _ADD_IN_ORDER, _one(topic, message))


def _add_or_keep(connection: Connection, query: str, values: dict[str, object]) -> None:
    if not connection.change(query, **values):
        connection.run(LOCK_TOPIC, topic=values["topic"])
        connection.run(_KEEP, topic=values["topic"])
        connection.change(query, **values)


def _one(topic: str, message: OutgoingMessage) -> dict[str, object]:
    return {
        "topic": topic,
        "urgency": 9 - message.priority,
        "delay": float(message.delay_s),
        "ttl": message.ttl_s,
        "key": message.key.encode(),
        "id": message.id.encode(),
        "type": message.content_type,
        "attributes": attributes_text(message),
        "data": message.data,
    }


def _many(topic: str, messages: Sequence[OutgoingMessage]) -> dict[str, object]:
    def column(value: Callable[[OutgoingMessage], T]) -> list[T]:
        values = [value(message) for message in messages]
        return values[:1] if values.count(values[0]) == len(values) else values

    ttls = [message.ttl_s for message in messages]
    return {
        "topic": topic,
        "urgency": column(lambda message: 9 - message.priority),
        "delay": column(lambda message: float(message.delay_s)),
        "ttl": ttls if any(ttl is not None for ttl in ttls) else [],
        "id": [message.id.encode() for message in messages],
        "type": column(lambda message: message.content_type),
        "attributes": column(attributes_text),
        "data": [message.data for message in messages],
    }
