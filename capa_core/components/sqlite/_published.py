"""The SQL of ids that are published once: a table of those known, each until its time is over.

Each function is one part of a transaction that the caller has begun.
"""

from __future__ import annotations

from collections.abc import Sequence

from capa_core.blocks.pubsub.driver import OutgoingMessage
from capa_core.components.sqlite._uptime import Connection

TABLE = """
CREATE TABLE published (
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (topic, id)
) WITHOUT ROWID;
CREATE INDEX published_by_end ON published (until);
"""
_NOTE = """
INSERT INTO published (topic, id, until) VALUES (?, ?, ?)
ON CONFLICT (topic, id) DO UPDATE SET until = excluded.until WHERE until <= ?
"""
_FORGET = """
DELETE FROM published WHERE (topic, id) IN (SELECT topic, id FROM published WHERE until <= ? ORDER BY until LIMIT ?)
"""


def note(connection: Connection, topic: str, messages: Sequence[OutgoingMessage]) -> list[bool]:
    """Return for each of *messages* whether it is to be stored, and note the ids of those that ask for that."""
    now = connection.now()
    return [
        not message.once_s
        or connection.execute(_NOTE, (topic, message.id, now + message.once_s, now)).rowcount == 1
        for message in messages
    ]


def forget(connection: Connection, most: int) -> bool:
    """Delete up to *most* ids whose time is over; return whether there may be more."""
    return connection.execute(_FORGET, (connection.now(), most)).rowcount == most
