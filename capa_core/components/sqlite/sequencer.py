"""Sequences in one SQLite file: shared by the processes of one machine, no server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial

from capa_core.abilities import NATIVE, How, Support
from capa_core.blocks.sequencer.driver import (
    LARGEST_NUMBER,
    SequencerDriver,
    SequencerFeature,
    SequenceStatus,
)
from capa_core.components.sqlite._driver import SqliteDriver, SqliteSettings

# The last number taken: the next one may be above what an integer holds.
_TABLE = """
CREATE TABLE IF NOT EXISTS sequence (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) WITHOUT ROWID;
"""
_TAKE = (
    "INSERT INTO sequence (name, last) VALUES (:name, :count) ON CONFLICT (name) DO UPDATE"
    " SET last = last + :count WHERE last <= :largest - :count RETURNING last"
)
_ADVANCE = (
    "INSERT INTO sequence (name, last) VALUES (:name, :least - 1) ON CONFLICT (name) DO UPDATE"
    " SET last = max(last, :least - 1) RETURNING last"
)
_AFTER = "SELECT name, last FROM sequence WHERE name > ? ORDER BY name LIMIT ?"
_PAGE = 500


class SqliteSequencer(SqliteDriver[SqliteSettings], SequencerDriver[SqliteSettings]):
    """Sequences in `<folder>/sequencer.db`, one row for each name."""

    block = "sequencer"
    steps: Sequence[str] = (_TABLE,)
    probe = "SELECT 1 FROM sequence LIMIT 1"
    settings_type = SqliteSettings
    features = {
        **dict.fromkeys(SequencerFeature, NATIVE),
        SequencerFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
    }

    def take(self, name: str, count: int) -> int | None:
        """See `SequencerDriver.take`."""
        rows = self._run(_TAKE, {"name": name, "count": count, "largest": LARGEST_NUMBER})
        return rows[0][0] - count + 1 if rows else None

    def advance(self, name: str, least: int) -> int:
        """See `SequencerDriver.advance`."""
        return self._run(_ADVANCE, {"name": name, "least": least})[0][0] + 1

    def inspect(self) -> Iterator[SequenceStatus]:
        """See `SequencerDriver.inspect`: some at a time, by name."""
        after = ""
        while page := self.database.read(partial(_after, name=after)):
            yield from page
            after = page[-1].name

    def _run(self, statement: str, values: dict[str, object]) -> list[tuple[int]]:
        return self.database.write(lambda connection: connection.execute(statement, values).fetchall())


def _after(connection: sqlite3.Connection, *, name: str) -> list[SequenceStatus]:
    rows = connection.execute(_AFTER, (name, _PAGE))
    return [SequenceStatus(name=row[0], next=row[1] + 1) for row in rows]
