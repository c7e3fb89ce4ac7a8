"""The SQL of pub/sub: one table of queues, one for each topic and group, and one of the messages in them.

`visible_at` is the state of a message: 0 is ready; a time is hidden until then, because it is delayed, returned or
leased; NULL is behind another message of its key. So one index finds the ready messages, the most urgent first, and
the time at which the next one becomes due. A receipt is `(seq, count)`: the next delivery has a different count.

Each function is one part of a transaction that the caller has begun.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage, attributes_text
from capa_core.blocks.pubsub.inspection import KEPT
from capa_core.blocks.pubsub.over_tables import Receipt, sorted_out
from capa_core.components.sqlite import _published
from capa_core.components.sqlite._uptime import Connection
from capa_core.components.sqlite._vacuum import release_pages

_TABLES = """
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    name TEXT NOT NULL,
    abandoned_at REAL,  -- when a temporary group is removed, unless its consumer renews it
    UNIQUE (topic, name)
);
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: an old receipt must not fit a new message
    queue INTEGER NOT NULL REFERENCES queue (id),
    visible_at REAL,
    urgency INTEGER NOT NULL,  -- 9 - priority
    count INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,  -- the earliest delivery, once it is the first of its key
    expires_at REAL,
    published_at REAL NOT NULL,
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    content_type TEXT NOT NULL,
    attributes TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS message_by_turn ON message (queue, visible_at, urgency, seq);
CREATE INDEX IF NOT EXISTS message_by_key ON message (queue, key, seq) WHERE key <> '';
CREATE INDEX IF NOT EXISTS message_by_expiry ON message (expires_at) WHERE expires_at IS NOT NULL;
"""
# A consumer that was considered dead keeps the id of its queue. If a later queue could get the same id, it would read,
# acknowledge and drop another consumer's messages. The sequence starts far above the ids in use, because consumers in
# processes of the previous version may have higher ids than are left in the table.
_UNIQUE_IDS = """
CREATE TABLE queue_with_unique_ids (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
    topic TEXT NOT NULL,
    name TEXT NOT NULL,
    abandoned_at REAL,
    UNIQUE (topic, name)
);
INSERT INTO queue_with_unique_ids SELECT id, topic, name, abandoned_at FROM queue;
DROP TABLE queue;
ALTER TABLE queue_with_unique_ids RENAME TO queue;
DELETE FROM sqlite_sequence WHERE name = 'queue';
INSERT INTO sqlite_sequence (name, seq) SELECT 'queue', ifnull(max(id), 0) + 1000000 FROM queue;
"""
# Counting the rows takes a second for each million of them. Triggers count for processes of the previous version too.
_COUNTED = """
ALTER TABLE queue ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET depth = (SELECT count(*) FROM message WHERE queue = queue.id);
CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
    UPDATE queue SET depth = depth + 1 WHERE id = new.queue;
END;
CREATE TRIGGER message_removed AFTER DELETE ON message BEGIN
    UPDATE queue SET depth = depth - 1 WHERE id = old.queue;
END;
"""
SCHEMA = (_TABLES, _UNIQUE_IDS, _COUNTED, _published.TABLE)

_TARGETS = "SELECT id, name, abandoned_at FROM queue WHERE topic = ?"
_ADD = """
INSERT INTO message (queue, visible_at, urgency, due, expires_at, published_at, key, id, content_type, attributes, data)
VALUES (:queue, :due, :urgency, :due, :expires_at, :published_at, :key, :id, :content_type, :attributes, :data)
"""
_ADD_WITH_KEY = """
INSERT INTO message (queue, visible_at, urgency, due, expires_at, published_at, key, id, content_type, attributes, data)
VALUES (
    :queue,
    CASE WHEN EXISTS (SELECT 1 FROM message WHERE queue = :queue AND key = :key AND key <> '') THEN NULL ELSE :due END,
    :urgency, :due, :expires_at, :published_at, :key, :id, :content_type, :attributes, :data
)
"""
_WAKE = "UPDATE message SET visible_at = 0 WHERE queue = ? AND visible_at > 0 AND visible_at <= ?"
_LEASE = """
UPDATE message SET visible_at = :until, count = count + 1
WHERE seq IN (SELECT seq FROM message WHERE queue = :queue AND visible_at = 0 ORDER BY urgency, seq LIMIT :most)
RETURNING CAST(urgency AS INTEGER), seq, count, count = 1 AND ifnull(expires_at <= :now, 0), CAST(published_at AS REAL),
    key, id, content_type, attributes, CAST(data AS BLOB)
"""
_NEXT = "SELECT visible_at FROM message WHERE queue = ? AND visible_at >= 0 ORDER BY visible_at LIMIT 1"
_REMOVE = "DELETE FROM message WHERE seq = ? AND count = ?"
_REMOVE_WITH_KEY = "DELETE FROM message WHERE seq = ? AND count = ? RETURNING queue, key"
_NEXT_OF_KEY = """
UPDATE message SET visible_at = due
WHERE seq = (SELECT min(seq) FROM message WHERE queue = ? AND key = ? AND key <> '') AND visible_at IS NULL
"""
_HIDE = "UPDATE message SET visible_at = ? WHERE seq = ? AND count = ?"
_RELEASE = "UPDATE message SET visible_at = 0, count = count - 1 WHERE seq = ? AND count = ?"
# Only messages that expired, which are soon removed, are looked at one by one.
_DEPTH = """
SELECT depth - (
    SELECT count(*) FROM message INDEXED BY message_by_expiry
    WHERE queue = queue.id AND expires_at <= ? AND count = 0
)
FROM queue WHERE id = ?
"""
_EXPIRED = "SELECT seq, count, key FROM message WHERE expires_at <= ? AND count = 0 LIMIT ?"


def join(connection: Connection, topic: str, group: str, life_s: float | None) -> int:
    """Return the queue of *group*, created if necessary; the first permanent one gets the waiting messages.

    Args:
        life_s: Seconds until a temporary group is removed unless it is renewed; `None` for a permanent group.
    """
    drop_abandoned(connection, topic)
    known = {name: ident for ident, name, _ in connection.execute(_TARGETS, (topic,))}
    if group in known:
        return int(known[group])
    if KEPT in known and life_s is None:
        connection.execute("UPDATE queue SET name = ? WHERE id = ?", (group, known[KEPT]))
        return int(known[KEPT])
    values = (topic, group, None if life_s is None else connection.now() + life_s)
    return _made(connection.execute("INSERT INTO queue (topic, name, abandoned_at) VALUES (?, ?, ?)", values))


def live(connection: Connection, queue: int, life_s: float) -> bool:
    """Renew a temporary group; return whether it still exists."""
    values = (connection.now() + life_s, queue)
    return connection.execute("UPDATE queue SET abandoned_at = ? WHERE id = ?", values).rowcount == 1


def add(connection: Connection, topic: str, messages: Sequence[OutgoingMessage]) -> None:
    """Append *messages* to the queue of each group, or to the queue of waiting messages if there is none."""
    rows = list(connection.execute(_TARGETS, (topic,)))
    now = connection.now()
    if any(abandoned_at is not None and abandoned_at <= now for _, _, abandoned_at in rows):
        drop_abandoned(connection, topic)
        rows = list(connection.execute(_TARGETS, (topic,)))
    queues = [ident for ident, name, _ in rows if name != KEPT] or [ident for ident, _, _ in rows]
    if not queues:
        queues = [_made(connection.execute("INSERT INTO queue (topic, name) VALUES (?, ?)", (topic, KEPT)))]
    statement = _ADD_WITH_KEY if any(message.key for message in messages) else _ADD
    for queue in queues:
        connection.executemany(statement, [_row(queue, message, now) for message in messages])


def add_new(connection: Connection, topic: str, messages: Sequence[OutgoingMessage]) -> list[bool]:
    """Append those of *messages* that were not published before, and return for each whether it was appended."""
    is_new = _published.note(connection, topic, messages)
    if new := [message for message, wanted in zip(messages, is_new, strict=True) if wanted]:
        add(connection, topic, new)
    return is_new


def lease(connection: Connection, queue: int, most: int, lease_s: float) -> list[Delivery]:
    """Hide up to *most* ready messages for *lease_s* and return them, the most urgent first."""
    now = connection.now()
    connection.execute(_WAKE, (queue, now))
    values = {"queue": queue, "most": most, "now": now, "until": now + lease_s}
    while rows := connection.execute(_LEASE, values).fetchall():
        found = sorted_out(rows)
        remove(connection, found.gone)
        if found.deliveries:
            return found.deliveries
    return []


def next_at(connection: Connection, queue: int) -> float | None:
    """Return the time at which the next message becomes ready: 0 for now, `None` if there is none."""
    row = connection.execute(_NEXT, (queue,)).fetchone()
    return None if row is None else row[0]


def remove(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Delete those messages that were not redelivered, and make the next ones of their keys available."""
    connection.executemany(_REMOVE, [receipt[:2] for receipt in receipts if not receipt.key])
    for receipt in receipts:
        if receipt.key:
            for freed in connection.execute(_REMOVE_WITH_KEY, receipt[:2]).fetchall():
                connection.execute(_NEXT_OF_KEY, freed)


def hide(connection: Connection, receipts: Iterable[Receipt], seconds: float) -> list[bool]:
    """Hide messages for *seconds*, or show them if 0; return for each whether its receipt is current."""
    until = connection.now() + seconds if seconds else 0
    return [
        connection.execute(_HIDE, (until, receipt.seq, receipt.times)).rowcount == 1 for receipt in receipts
    ]


def release(connection: Connection, receipts: Iterable[Receipt]) -> None:
    """Make messages ready as if they had not been delivered."""
    connection.executemany(_RELEASE, [receipt[:2] for receipt in receipts])


def depth(connection: Connection, topic: str, group: str) -> int:
    """Return the number of messages for *group*, or of those that wait for a group if it does not exist."""
    known = {name: ident for ident, name, _ in connection.execute(_TARGETS, (topic,))}
    queue = known.get(group, known.get(KEPT))
    return 0 if queue is None else depth_of(connection, queue)


def depth_of(connection: Connection, queue: int) -> int:
    """Return the number of messages in *queue* that are not expired."""
    return int(connection.execute(_DEPTH, (connection.now(), queue)).fetchone()[0])


def purge(connection: Connection, topic: str) -> int:
    """Delete all messages of a topic and return the number of different ones."""
    queues = [(ident,) for ident, _, _ in connection.execute(_TARGETS, (topic,))]
    ids = {
        row[0]
        for queue in queues
        for row in connection.execute("SELECT id FROM message WHERE queue = ?", queue)
    }
    connection.executemany("DELETE FROM message WHERE queue = ?", queues)
    return len(ids)


def drop(connection: Connection, queue: int) -> None:
    """Delete a queue with its messages."""
    connection.execute("DELETE FROM message WHERE queue = ?", (queue,))
    connection.execute("DELETE FROM queue WHERE id = ?", (queue,))


def drop_abandoned(connection: Connection, topic: str) -> None:
    """Delete the temporary groups that were not renewed in time."""
    query = "SELECT id FROM queue WHERE topic = ? AND abandoned_at <= ?"
    for (queue,) in connection.execute(query, (topic, connection.now())).fetchall():
        drop(connection, queue)


def tidy(connection: Connection, most: int) -> bool:
    """Delete some messages that expired before a delivery, some old ids, and return some free pages to the disk.

    Returns whether there is more to do.
    """
    expired = connection.execute(_EXPIRED, (connection.now(), most)).fetchall()
    remove(connection, [Receipt(*row) for row in expired])
    more = _published.forget(connection, most)
    return release_pages(connection, most) or len(expired) == most or more


def _made(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None  # noqa: S101 - for the type checker: an INSERT has one
    return cursor.lastrowid


def _row(queue: int, message: OutgoingMessage, now: float) -> dict[str, object]:
    return {
        "queue": queue,
        "due": now + message.delay_s if message.delay_s else 0,
        "urgency": 9 - message.priority,
        "expires_at": None if message.ttl_s is None else now + message.ttl_s,
        "published_at": time.time(),
        "key": message.key,
        "id": message.id,
        "content_type": message.content_type,
        "attributes": attributes_text(message),
        "data": message.data,
    }
