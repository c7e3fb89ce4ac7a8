"""The SQL of a log's records: one row for each partition, and one for each record in it.

Each function is one part of a transaction that the caller has begun.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence

from capa_core.blocks.log.driver import Bounds, OutgoingRecord, Partition, Position, Record
from capa_core.components.sqlite._vacuum import release_pages

SCHEMA = """
CREATE TABLE IF NOT EXISTS part (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0,  -- earlier records were removed
    behind INTEGER NOT NULL DEFAULT 0,  -- the offset of the next record
    UNIQUE (topic, number)
);
CREATE TABLE IF NOT EXISTS record (
    part INTEGER NOT NULL REFERENCES part (id),
    number INTEGER NOT NULL,  -- the offset
    stored_at REAL NOT NULL,
    timestamp REAL NOT NULL,
    key BLOB,
    headers TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (part, number)
);
CREATE INDEX IF NOT EXISTS record_by_time ON record (part, timestamp);
"""

_PARTS = "SELECT number, first, behind FROM part WHERE topic = ? ORDER BY number"
_MAKE = "INSERT INTO part (topic, number) VALUES (?, ?)"
_GROW = "UPDATE part SET behind = behind + ? WHERE topic = ? AND number = ? RETURNING id, behind"
_ADD = "INSERT INTO record (part, number, stored_at, timestamp, key, headers, value) VALUES (?, ?, ?, ?, ?, ?, ?)"
_READ = """
SELECT record.number, CAST(timestamp AS REAL), CAST(key AS BLOB), CAST(headers AS BLOB), CAST(value AS BLOB)
FROM record JOIN part ON part.id = record.part
WHERE part.topic = ? AND part.number = ? AND record.number >= ? ORDER BY record.number LIMIT ?
"""
_AT = "SELECT number, behind, (SELECT min(number) FROM record WHERE part = part.id AND timestamp >= ?) FROM part"
_TRUNCATE = """
UPDATE part SET first = min(behind, max(first, ?)) WHERE topic = ? AND number = ? RETURNING id, first
"""
_OLD = "SELECT id, first, (SELECT min(number) FROM record WHERE part = part.id AND stored_at >= ?), behind FROM part"


def made(connection: sqlite3.Connection, topic: str, count: int) -> dict[Partition, Bounds]:
    """Return the partitions of *topic*, creating *count* of them if it does not exist."""
    found = parts(connection, topic)
    if not found:
        connection.executemany(_MAKE, [(topic, number) for number in range(count)])
        found = parts(connection, topic)
    return found


def topics_after(connection: sqlite3.Connection, last: str, most: int) -> list[str]:
    """Return up to *most* names of topics after *last*, in order."""
    query = "SELECT DISTINCT topic FROM part WHERE topic > ? ORDER BY topic LIMIT ?"
    return [topic for (topic,) in connection.execute(query, (last, most))]


def parts(connection: sqlite3.Connection, topic: str) -> dict[Partition, Bounds]:
    """Return the partitions of *topic* with the records that they hold."""
    rows = connection.execute(_PARTS, (topic,))
    return {Partition(topic, number): Bounds(first, behind) for number, first, behind in rows}


def add(
    connection: sqlite3.Connection, topic: str, numbers: Sequence[int], records: Sequence[OutgoingRecord]
) -> list[Position]:
    """Append each of *records* to the partition at the same index in *numbers*."""
    now = time.time()
    next_offset: dict[int, tuple[int, int]] = {}
    for number in set(numbers):
        count = numbers.count(number)
        part, behind = connection.execute(_GROW, (count, topic, number)).fetchone()
        next_offset[number] = part, behind - count
    places, rows = [], []
    for number, record in zip(numbers, records, strict=True):
        part, offset = next_offset[number]
        next_offset[number] = part, offset + 1
        places.append(Position(Partition(topic, number), offset))
        timestamp = now if record.timestamp is None else record.timestamp
        rows.append((part, offset, now, timestamp, record.key, _text(record.headers), record.value))
    connection.executemany(_ADD, rows)
    return places


def read(connection: sqlite3.Connection, partition: Partition, offset: int, most: int) -> list[Record]:
    """Return up to *most* records from *offset* on."""
    rows = connection.execute(_READ, (*partition, offset, most)).fetchall()
    return [
        Record(partition, number, value, key, _headers(headers), timestamp)
        for number, timestamp, key, headers, value in rows
    ]


def offsets_at(connection: sqlite3.Connection, topic: str, timestamp: float) -> dict[Partition, int]:
    """Return the first offset at or after *timestamp* in each partition, or its end."""
    rows = connection.execute(f"{_AT} WHERE topic = ?", (timestamp, topic))
    return {Partition(topic, number): behind if found is None else found for number, behind, found in rows}


def truncate(connection: sqlite3.Connection, offsets: Mapping[Partition, int]) -> None:
    """Remove the records before each offset."""
    for partition, offset in offsets.items():
        for part, first in connection.execute(_TRUNCATE, (offset, *partition)).fetchall():
            connection.execute("DELETE FROM record WHERE part = ? AND number < ?", (part, first))


def tidy(connection: sqlite3.Connection, stored_before: float, most: int) -> None:
    """Remove up to *most* old records of each partition, and return some free pages to the disk."""
    for part, first, young, behind in connection.execute(_OLD, (stored_before,)).fetchall():
        until = min(behind if young is None else young, first + most)
        if until > first:
            connection.execute("DELETE FROM record WHERE part = ? AND number < ?", (part, until))
            connection.execute("UPDATE part SET first = ? WHERE id = ?", (until, part))
    release_pages(connection, most)


def bounds(connection: sqlite3.Connection, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
    """Return the bounds of those of *partitions* that exist."""
    wanted = set(partitions)
    found: dict[Partition, Bounds] = {}
    for topic in {partition.topic for partition in wanted}:
        found |= {p: each for p, each in parts(connection, topic).items() if p in wanted}
    return found


def _text(headers: Mapping[str, bytes]) -> str:
    # Latin-1 maps each byte to a character, so that JSON can hold any headers.
    return json.dumps({name: value.decode("latin-1") for name, value in headers.items()}) if headers else ""


def _headers(text: bytes) -> dict[str, bytes]:
    """Return the headers; none where another program wrote something else, which must not hold up the log."""
    try:
        return {name: value.encode("latin-1") for name, value in json.loads(text).items()} if text else {}
    except (ValueError, AttributeError, RecursionError):
        return {}
