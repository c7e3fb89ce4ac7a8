"""State in one SQLite file: durable, shared by the processes of one machine, no server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from capa_core.abilities import BY_DRIVER, NATIVE, How, Support
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
    added,
)
from capa_core.components.sqlite._driver import SqliteDriver, SqliteSettings
from capa_core.components.sqlite._file import largest_row
from capa_core.components.sqlite._uptime import Connection
from capa_core.components.sqlite._vacuum import release_pages
from capa_core.components.sqlite._wakeup import RECHECK_S, Wakeups

_TABLE = """
CREATE TABLE IF NOT EXISTS state (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    etag TEXT NOT NULL,
    expires_s REAL  -- since the epoch
);
CREATE INDEX IF NOT EXISTS state_by_expiry ON state (expires_s) WHERE expires_s IS NOT NULL;
"""
# Rows of other programs may have other types: their values are the bytes of their texts.
_READ = (
    "SELECT key, CAST(value AS BLOB), CAST(etag AS TEXT) FROM state"
    " WHERE key = ? AND (expires_s IS NULL OR expires_s > ?)"
)
_STORE = (
    "INSERT INTO state (key, value, etag, expires_s) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
    " SET value = excluded.value, etag = excluded.etag, expires_s = excluded.expires_s"
)
_REPLACE = "UPDATE state SET value = ?, etag = ? WHERE key = ?"
_SWEEP = "DELETE FROM state WHERE rowid IN (SELECT rowid FROM state WHERE expires_s <= ? LIMIT ?)"
_LIST = (
    "SELECT key FROM state WHERE key >= ? AND key > ? AND key < ?"
    " AND (expires_s IS NULL OR expires_s > ?) ORDER BY key LIMIT ?"
)
_COUNT = "SELECT count(*) FROM state"
_COUNT_LIVING = "SELECT count(*) FROM (SELECT 1 FROM state WHERE expires_s IS NULL OR expires_s > ? LIMIT ?)"
_SIZE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"

_PAGE = 500
_BESIDE_VALUE = 4096
"""Bytes of a row besides the value, at most: a key of 512 characters has up to 2,048."""
_SWEEP_BATCH = 200
_SWEEP_PAUSE_S = 1.0

T = TypeVar("T")


class SqliteState(SqliteDriver[SqliteSettings], StateDriver[SqliteSettings]):
    """State in the table `state` of `<folder>/state.db`, which any SQLite tool can read.

    Expired values are left out of every result; later writes remove some of them at a time.
    """

    block = "state"
    steps: Sequence[str] = (_TABLE,)
    probe = "SELECT 1 FROM state LIMIT 1"
    settings_type = SqliteSettings
    features = {
        **dict.fromkeys(StateFeature, NATIVE),
        StateFeature.WAIT: BY_DRIVER,
        StateFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
    }

    def __init__(self, settings: SqliteSettings) -> None:
        super().__init__(settings)
        self._wakeups = Wakeups(settings.folder / "state.wake")
        self._next_sweep = 0.0

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`: a row also has the key, the etag and the expiry."""
        return StateLimits(max_value_bytes=largest_row() - _BESIDE_VALUE)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return self.database.read(lambda connection: _get(connection, key))

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return self.database.read(lambda connection: [_get(connection, key) for key in keys])

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        return self._write(lambda connection: _put(connection, write), [write])

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        return self._write(lambda connection: [_put(connection, write) for write in writes], writes)

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        return self._write(lambda connection: _delete(connection, deletion))

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        return self._write(lambda connection: sum(_delete(connection, Delete(key)) is True for key in keys))

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""

        def all_or_none(connection: Connection) -> None:
            for operation in operations:
                if _do(connection, operation) is None:
                    raise _ConditionError

        try:
            self._write(all_or_none, [operation for operation in operations if isinstance(operation, Put)])
        except _ConditionError:
            return False
        return True

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        last = ""
        while page := self.database.read(partial(_page, prefix=prefix, after=last)):
            yield from page
            last = page[-1]

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`."""

        def add(connection: Connection) -> int:
            item = _get(connection, key)
            total = added(key, item.value if item else None, by)
            if item is None:
                _put(connection, Put(key, str(total).encode(), ttl_s))
            else:
                connection.execute(_REPLACE, (str(total).encode(), _new_etag(), key))
            return total

        return self._write(add)

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`."""
        end = time.monotonic() + timeout_s
        with self._wakeups.listen(key) as listener:
            while True:
                item = self.get(key)
                if item is not None and item.etag != etag:
                    return item
                left_s = end - time.monotonic()
                if left_s <= 0:
                    return None
                listener.wait(min(left_s, RECHECK_S))

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`: the size is that of the file."""

        def count(connection: Connection) -> StateStatus:
            (keys,) = connection.execute(_COUNT_LIVING, (connection.now(), most + 1)).fetchone()
            (size,) = connection.execute(_SIZE).fetchone()
            return StateStatus(keys=min(keys, most), complete=keys <= most, size_bytes=size)

        return self.database.read(count)

    def ping(self) -> str:
        """See `Driver.ping`."""
        keys = self.database.read(lambda connection: connection.execute(_COUNT).fetchone()[0])
        return f"{super().ping()}, {keys} keys"

    def close(self) -> None:
        """See `Driver.close`."""
        self._wakeups.close()
        super().close()

    def _write(self, function: Callable[[Connection], T], writes: Sequence[Put] = ()) -> T:
        """Run *function* in a transaction, then wake the waiters for *writes*."""

        def run(connection: Connection) -> T:
            self._sweep_sometimes(connection)
            return function(connection)

        result = self.database.write(run)
        if keys := [write.key for write in writes if write.notify]:
            self._wakeups.signal(*keys)
        return result

    def _sweep_sometimes(self, connection: Connection) -> None:
        """Remove some expired values and free pages, once a second, or with each write while there are more."""
        if time.monotonic() < self._next_sweep:
            return
        swept = connection.execute(_SWEEP, (connection.now(), _SWEEP_BATCH)).rowcount
        more = release_pages(connection, _SWEEP_BATCH) or swept == _SWEEP_BATCH
        self._next_sweep = 0.0 if more else time.monotonic() + _SWEEP_PAUSE_S


class _ConditionError(Exception):
    """An etag does not match: undoes the transaction."""


def _get(connection: Connection, key: str) -> StateItem | None:
    row = connection.execute(_READ, (key, connection.now())).fetchone()
    return StateItem(*row) if row else None


def _do(connection: Connection, operation: Put | Delete) -> str | bool | None:
    return _put(connection, operation) if isinstance(operation, Put) else _delete(connection, operation)


def _put(connection: Connection, write: Put) -> str | None:
    if not _holds(connection, write):
        return None
    etag = _new_etag()
    expires_s = None if write.ttl_s is None else connection.now() + write.ttl_s
    connection.execute(_STORE, (write.key, write.value, etag, expires_s))
    return etag


def _delete(connection: Connection, deletion: Delete) -> bool | None:
    if not _holds(connection, deletion):
        return None
    was_there = _get(connection, deletion.key) is not None
    connection.execute("DELETE FROM state WHERE key = ?", (deletion.key,))
    return was_there


def _holds(connection: Connection, operation: Put | Delete) -> bool:
    """Return whether the condition of *operation* holds; no other write can happen before that of the caller."""
    if operation.if_etag is None:
        return True
    item = _get(connection, operation.key)
    return operation.if_etag == (item.etag if item else "")


def _page(connection: Connection, *, prefix: str, after: str) -> list[str]:
    """Return a page of the keys with *prefix* after *after*, in order."""
    rows = connection.execute(_LIST, (prefix, after, _after_all(prefix), connection.now(), _PAGE))
    return [key for (key,) in rows]


def _after_all(prefix: str) -> str | bytes:
    """Return the least value above all texts that begin with *prefix*.

    SQLite compares UTF-8 byte by byte, which is the order of code points. Surrogates have no UTF-8.
    """
    stem = prefix.rstrip(chr(sys.maxunicode))
    if not stem:
        return b""  # for SQLite every text is below every blob
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)


def _new_etag() -> str:
    return os.urandom(8).hex()
