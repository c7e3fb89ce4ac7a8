"""The SQL of publishing; the tables are those of `_queue`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from capa_core.blocks.pubsub.driver import OutgoingMessage, attributes_text
from capa_core.components.postgres._connection import Connection
from capa_core.components.postgres._queue import LIVING, LOCK_KEYS, LOCK_TOPIC
from capa_core.components.postgres._settings import LONGEST_S
from capa_core.components.postgres._waiting import AWAITED

T = TypeVar("T")

_OF_PLAIN = ("topic", "urgency", "id", "type", "attributes", "data")

# Only queues of temporary groups are removed, and need a lock against that, which is a write to their rows.
_TARGETS = f"""
SELECT id FROM capa.queue WHERE topic = %(topic)s AND name <> '' AND abandoned_at IS NULL
UNION ALL
SELECT id FROM (
    SELECT id FROM capa.queue WHERE topic = %(topic)s AND abandoned_at > now() FOR KEY SHARE
) AS temporary
UNION ALL
SELECT id FROM capa.queue WHERE topic = %(topic)s AND name = '' AND NOT EXISTS (
    SELECT FROM capa.queue WHERE topic = %(topic)s AND name <> '' AND {LIVING}
)
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
RETURNING {AWAITED}
"""


# The usual message, in a topic with lasting groups alone: the general statement takes the server a quarter longer.
_ADD_PLAIN = f"""
INSERT INTO capa.message (queue, visible_at, urgency, due, published_at, key, id, content_type, attributes, data)
SELECT id, '-infinity', %(urgency)s::smallint, '-infinity', clock_timestamp(), '', %(id)b, %(type)s, %(attributes)s,
    %(data)b
FROM capa.queue WHERE topic = %(topic)s AND name <> '' AND abandoned_at IS NULL
    AND NOT EXISTS (SELECT FROM capa.queue WHERE topic = %(topic)s AND abandoned_at IS NOT NULL)
RETURNING {AWAITED}
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

# In the order of the ids, so that no two transactions wait for each other.
_NOTE = """
INSERT INTO capa.published (topic, id, until)
SELECT %(topic)s, id, now() + once_s * interval '1 s'
FROM unnest(%(ids)b::bytea[], %(once_s)s::float8[]) AS given (id, once_s) ORDER BY id
ON CONFLICT (topic, id) DO UPDATE SET until = excluded.until WHERE published.until <= now()
RETURNING id
"""
FORGET = """
DELETE FROM capa.published WHERE (topic, id) IN (
    SELECT topic, id FROM capa.published WHERE until <= now() LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
"""


def is_plain(messages: Sequence[OutgoingMessage]) -> bool:
    """Return whether *messages* are one, without key, delay, time to live and check of its id."""
    if len(messages) != 1:
        return False
    (message,) = messages
    return not (message.key or message.delay_s or message.once_s) and message.ttl_s is None


def plain_statement(topic: str, message: OutgoingMessage) -> tuple[str, dict[str, object]]:
    """Return the statement that appends a plain message, and its values.

    It returns what that of `statement` does; it adds none if the topic has temporary groups, or no other.
    """
    values = _one(topic, message)
    return _ADD_PLAIN, {name: values[name] for name in _OF_PLAIN}


def statement(topic: str, messages: Sequence[OutgoingMessage]) -> tuple[str, dict[str, object]]:
    """Return the statement that appends *messages*, without keys, and its values.

    It returns a row for each that it has added, none without a queue: whether a consumer waits for them.
    """
    if len(messages) == 1:
        return _ADD_ONE, _one(topic, messages[0])
    return _ADD_MANY, _many(topic, messages)


def add_new(connection: Connection, topic: str, messages: Sequence[OutgoingMessage]) -> list[bool]:
    """Append those of *messages* that were not published before, and return for each whether it was appended."""
    once = {message.id.encode(): message.once_s for message in messages if message.once_s}
    new = {ident for (ident,) in _noted(connection, topic, once)}
    is_new = []
    for message in messages:
        ident = message.id.encode()
        is_new.append(not message.once_s or ident in new)
        new.discard(ident)
    if stored := [message for message, wanted in zip(messages, is_new, strict=True) if wanted]:
        add(connection, topic, stored)
    return is_new


def _noted(connection: Connection, topic: str, once: dict[bytes, float]) -> Sequence[tuple[bytes, ...]]:
    """Note the ids of *once*, each with its seconds, and return those that were not known."""
    if not once:
        return ()
    return connection.run(_NOTE, topic=topic, ids=list(once), once_s=list(once.values()))


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
    if not connection.run(query, **values):
        connection.run(LOCK_TOPIC, topic=values["topic"])
        connection.run(_KEEP, topic=values["topic"])
        connection.run(query, **values)


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
