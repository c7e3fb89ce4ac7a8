"""State in a PostgreSQL database: one row for each key, LISTEN and NOTIFY for those who wait."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import psycopg

from capa_core.abilities import BY_DRIVER, NATIVE
from capa_core.blocks.state.driver import (
    LARGEST_NUMBER,
    SMALLEST_NUMBER,
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
    added,
)
from capa_core.components.postgres._connection import Connection
from capa_core.components.postgres._driver import PostgresDriver
from capa_core.components.postgres._notices import RECHECK_S, Notices
from capa_core.components.postgres._settings import LONGEST_S, PostgresSettings

# Keys are bytes: text cannot hold every character, and is ordered by the database's collation.
_TABLE = """
CREATE TABLE capa.state (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    etag text NOT NULL,
    expires_at timestamptz
);
ALTER TABLE capa.state ALTER COLUMN value SET STORAGE EXTERNAL; -- to compress takes longer than to write
CREATE INDEX state_by_expiry ON capa.state (expires_at) WHERE expires_at IS NOT NULL;
"""

_IS_OVER = "(held.expires_at IS NOT NULL AND held.expires_at <= clock_timestamp())"
_READ = f"""
SELECT key, value, etag FROM capa.state AS held WHERE key = ANY(%(keys)s) AND NOT {_IS_OVER}
"""
_NEW_ROW = """
INSERT INTO capa.state AS held (key, value, etag, expires_at)
VALUES (%(key)b, %(value)b, gen_random_uuid()::text, clock_timestamp() + %(ttl_s)s::float8 * interval '1 s')
"""
_STORE = f"""
{_NEW_ROW} ON CONFLICT (key) DO UPDATE
SET value = excluded.value, etag = excluded.etag, expires_at = excluded.expires_at
"""
_PUT = f"{_STORE} RETURNING etag"
_PUT_IF_ABSENT = f"{_STORE} WHERE {_IS_OVER} RETURNING etag"
_PUT_IF_SAME = f"""
UPDATE capa.state AS held
SET value = %(value)b, etag = gen_random_uuid()::text,
    expires_at = clock_timestamp() + %(ttl_s)s::float8 * interval '1 s'
WHERE key = %(key)b AND etag = %(if_etag)s AND NOT {_IS_OVER} RETURNING etag
"""
_DELETE = f"DELETE FROM capa.state AS held WHERE key = ANY(%(keys)s) RETURNING NOT {_IS_OVER}"
_DELETE_IF_SAME = f"""
DELETE FROM capa.state AS held WHERE key = %(key)b AND etag = %(if_etag)s AND NOT {_IS_OVER} RETURNING key
"""
_SWEEP = f"""
DELETE FROM capa.state WHERE key IN (
    SELECT key FROM capa.state AS held WHERE {_IS_OVER} LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
"""
_LIST = f"""
SELECT key FROM capa.state AS held
WHERE key >= %(first)b AND key > %(after)b AND (%(end)b::bytea IS NULL OR key < %(end)b) AND NOT {_IS_OVER}
ORDER BY key LIMIT %(most)s
"""
# CASE: an operand of AND may be evaluated first, and what is no number cannot be added to.
_INCREMENT = f"""
{_NEW_ROW} ON CONFLICT (key) DO UPDATE SET
    value = CASE WHEN {_IS_OVER} THEN excluded.value
        ELSE convert_to((convert_from(held.value, 'UTF8')::numeric + %(by)s)::text, 'UTF8') END,
    expires_at = CASE WHEN {_IS_OVER} THEN excluded.expires_at ELSE held.expires_at END,
    etag = excluded.etag
WHERE CASE WHEN {_IS_OVER} THEN true
    WHEN encode(held.value, 'escape') !~ '^(0|-?[1-9][0-9]{{0,18}})$' THEN false
    ELSE convert_from(held.value, 'UTF8')::numeric + %(by)s BETWEEN {SMALLEST_NUMBER} AND {LARGEST_NUMBER} END
RETURNING value
"""
_COUNT = f"""
SELECT count(*), pg_total_relation_size('capa.state')
FROM (SELECT FROM capa.state AS held WHERE NOT {_IS_OVER} LIMIT %(most)s) AS counted
"""

_LARGEST_VALUE = 32 * 1024**2
_PAGE = 500
_SWEEP_BATCH = 200
_SWEEP_PAUSE_S = 1.0


class PostgresState(PostgresDriver[PostgresSettings], StateDriver[PostgresSettings]):
    """State in the table `state`, which any client can read: the key in UTF-8, and the value as it was given.

    Expired values are left out of every result; later writes remove some of them at a time.
    """

    block = "state"
    steps: Sequence[str] = (_TABLE,)
    settings_type = PostgresSettings
    features = {**dict.fromkeys(StateFeature, NATIVE), StateFeature.WAIT: BY_DRIVER}

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__(settings)
        self._notices = Notices(self.database)
        self._next_sweep = 0.0

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`: a value is sent within the deadline."""
        return StateLimits(max_value_bytes=_LARGEST_VALUE, max_ttl_s=LONGEST_S)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        rows = self.database.run(_READ, keys=[_bytes(key) for key in keys])
        found = {key: (value, etag) for key, value, etag in rows}
        return [StateItem(key, *found[_bytes(key)]) if _bytes(key) in found else None for key in keys]

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        (etag,) = self.put_many([write])
        return etag

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`: in the order of the keys, so that no two callers wait for each other."""
        places = sorted(range(len(writes)), key=lambda place: _bytes(writes[place].key))
        statements = [_statement(writes[place]) for place in places]
        answers = self.database.run_each(statements)
        etags: list[str | None] = [None] * len(writes)
        for place, rows in zip(places, answers, strict=True):
            etags[place] = str(rows[0][0]) if rows else None
        self._wake(writes)
        return etags

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        outcome = self.database.transaction(lambda connection: _delete(connection, deletion))
        self._sweep()
        return outcome

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        rows = self.database.run(_DELETE, keys=[_bytes(key) for key in keys])
        return sum(was_there for (was_there,) in rows)

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`: in the order of the keys, so that no two callers wait for each other."""

        def all_or_none(connection: Connection) -> None:
            for operation in sorted(operations, key=lambda operation: _bytes(operation.key)):
                if _do(connection, operation) is None:
                    raise _ConditionError

        try:
            self.database.transaction(all_or_none)
        except _ConditionError:
            return False
        self._wake([operation for operation in operations if isinstance(operation, Put)])
        return True

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        first, after = _bytes(prefix), b""
        values = {"first": first, "end": _after_all(first), "most": _PAGE}
        while page := self.database.run(_LIST, after=after, **values):
            yield from (key.decode() for (key,) in page)
            after = page[-1][0]

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`."""
        values = {"key": _bytes(key), "value": b"%d" % by, "ttl_s": ttl_s, "by": by}
        while not (rows := self.database.run(_INCREMENT, **values)):
            item = self.get(key)
            added(key, item.value if item else None, by)  # raises, unless the value has changed meanwhile
        self._sweep()
        return int(rows[0][0])

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`."""
        end = time.monotonic() + timeout_s
        with self._notices.listen(_subject(key)) as listener:
            while True:
                item = self.get(key)
                if item is not None and item.etag != etag:
                    return item
                left_s = end - time.monotonic()
                if left_s <= 0:
                    return None
                listener.wait(min(left_s, RECHECK_S))

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`: the size is that of the table and its indexes."""
        ((keys, size),) = self.database.run(_COUNT, most=most + 1)
        return StateStatus(keys=min(keys, most), complete=keys <= most, size_bytes=size)

    def close(self) -> None:
        """See `Driver.close`."""
        self._notices.close()
        super().close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        super().forget()
        self._notices.forget()

    def _wake(self, writes: Sequence[Put]) -> None:
        """Wake the waiters for *writes*, and remove some expired values."""
        for subject in {_subject(write.key) for write in writes if write.notify}:
            self._notices.signal(subject)
        self._sweep()

    def _sweep(self) -> None:
        """Remove some expired values, once a second."""
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_PAUSE_S
        with suppress(psycopg.Error):  # the caller's own work is done all the same
            self.database.run(_SWEEP, most=_SWEEP_BATCH)


class _ConditionError(Exception):
    """An etag does not match: undoes the transaction."""


def _statement(write: Put) -> tuple[str, dict[str, object]]:
    """Return the statement of *write* and its values; it returns the new etag, or no row."""
    values: dict[str, object] = {"key": _bytes(write.key), "value": write.value, "ttl_s": write.ttl_s}
    if write.if_etag is None:
        return _PUT, values
    if not write.if_etag:
        return _PUT_IF_ABSENT, values
    return _PUT_IF_SAME, {**values, "if_etag": write.if_etag}


def _do(connection: Connection, operation: Put | Delete) -> object:
    """Carry out *operation*; return `None` if its condition does not hold."""
    if isinstance(operation, Delete):
        return _delete(connection, operation)
    query, values = _statement(operation)
    return connection.run(query, **values) or None


def _delete(connection: Connection, deletion: Delete) -> bool | None:
    key = _bytes(deletion.key)
    if deletion.if_etag == "":
        # An absent row cannot be locked: one is stored and removed, which waits for others that store it.
        if not connection.run(_PUT_IF_ABSENT, key=key, value=b"", ttl_s=None):
            return None
        connection.run(_DELETE, keys=[key])
        return False
    if deletion.if_etag:
        return True if connection.run(_DELETE_IF_SAME, key=key, if_etag=deletion.if_etag) else None
    return connection.run(_DELETE, keys=[key]) == [(True,)]


def _bytes(key: str) -> bytes:
    return key.encode()


def _after_all(prefix: bytes) -> bytes | None:
    """Return the least value above all that begin with *prefix*; `None` if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _subject(key: str) -> str:
    """Return the payload of notices about *key*, which may be longer and hold more than a payload may."""
    return hashlib.sha256(_bytes(key)).hexdigest()
