"""Sequences in a PostgreSQL database: one row for each name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capa_core.abilities import NATIVE
from capa_core.blocks.sequencer.driver import (
    LARGEST_NUMBER,
    SequencerDriver,
    SequencerFeature,
    SequenceStatus,
)
from capa_core.components.postgres._driver import PostgresDriver
from capa_core.components.postgres._settings import PostgresSettings

# Names are bytes: text cannot hold every character. The last number taken: the next one may be above a bigint.
# A row, not a sequence of PostgreSQL: those skip up to 32 numbers after a crash, and one after each rollback.
_TABLE = """
CREATE TABLE capa.sequence (
    name bytea PRIMARY KEY,
    last bigint NOT NULL
) WITH (fillfactor = 50); -- each number finds room on its page
"""
_TAKE = """
INSERT INTO capa.sequence AS known (name, last) VALUES (%(name)b, %(count)s)
ON CONFLICT (name) DO UPDATE SET last = known.last + %(count)s WHERE known.last <= %(largest)s::bigint - %(count)s
RETURNING last
"""
_ADVANCE = """
INSERT INTO capa.sequence AS known (name, last) VALUES (%(name)b, %(least)s::bigint - 1)
ON CONFLICT (name) DO UPDATE SET last = greatest(known.last, excluded.last)
RETURNING last
"""
_AFTER = "SELECT name, last FROM capa.sequence WHERE name > %(after)b ORDER BY name LIMIT %(most)s"
_PAGE = 500


class PostgresSequencer(PostgresDriver[PostgresSettings], SequencerDriver[PostgresSettings]):
    """Sequences in the table `sequence`, one row for each name."""

    block = "sequencer"
    steps: Sequence[str] = (_TABLE,)
    settings_type = PostgresSettings
    features = dict.fromkeys(SequencerFeature, NATIVE)

    def take(self, name: str, count: int) -> int | None:
        """See `SequencerDriver.take`."""
        rows = self.database.run(_TAKE, name=name.encode(), count=count, largest=LARGEST_NUMBER)
        return int(rows[0][0]) - count + 1 if rows else None

    def advance(self, name: str, least: int) -> int:
        """See `SequencerDriver.advance`."""
        rows = self.database.run(_ADVANCE, name=name.encode(), least=least)
        return int(rows[0][0]) + 1

    def inspect(self) -> Iterator[SequenceStatus]:
        """See `SequencerDriver.inspect`: some at a time, by name."""
        after = b""
        while page := self.database.run(_AFTER, after=after, most=_PAGE):
            for name, last in page:
                yield SequenceStatus(name=name.decode(), next=last + 1)
            after = page[-1][0]
