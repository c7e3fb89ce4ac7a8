"""Locks in one SQLite file: shared by the processes of one machine, no server."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import partial

from capa_core.abilities import NATIVE, How, Support
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockStatus
from capa_core.components.sqlite import _uptime
from capa_core.components.sqlite._driver import SqliteDriver, SqliteSettings

# A lease is measured in seconds since the machine started, so that setting the clock neither ends nor prolongs it.
# After a restart of the machine no lock is held.
_TABLE = """
CREATE TABLE IF NOT EXISTS lock (
    name TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    owner TEXT NOT NULL,
    boot TEXT NOT NULL,
    expires_s REAL NOT NULL
) WITHOUT ROWID;
"""
# Rows of other programs may have other types, which SQLite does not refuse.
_HELD = (
    "SELECT CAST(owner AS TEXT), CAST(token AS INTEGER) FROM lock"
    " WHERE name = ? AND boot = ? AND CAST(expires_s AS REAL) > ?"
)
_TAKE = (
    "INSERT INTO lock (name, token, owner, boot, expires_s) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
    " SET token = token + 1, owner = excluded.owner, boot = excluded.boot, expires_s = excluded.expires_s"
)
_HELD_AFTER = (
    "SELECT name, CAST(owner AS TEXT), CAST(token AS INTEGER), expires_s - ? FROM lock"
    " WHERE name > ? AND name < x'' AND boot = ? AND CAST(expires_s AS REAL) > ?"
    " ORDER BY name LIMIT ?"
)
_COUNTED = "SELECT token FROM lock WHERE name = ?"
_RENEW = (
    "UPDATE lock SET expires_s = ? WHERE name = ? AND owner = ? AND boot = ? AND CAST(expires_s AS REAL) > ?"
)

_PAGE = 500


class SqliteLock(SqliteDriver[SqliteSettings], LockDriver[SqliteSettings]):
    """Locks in `<folder>/lock.db`, one row per name; it stays when the lock is free, since it counts the tokens."""

    block = "lock"
    steps: Sequence[str] = (_TABLE,)
    probe = "SELECT 1 FROM lock LIMIT 1"
    settings_type = SqliteSettings
    features = {
        **dict.fromkeys(LockFeature, NATIVE),
        LockFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
    }

    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """See `LockDriver.acquire`."""

        def take(connection: sqlite3.Connection) -> int | None:
            holder, token = _holder(connection, name)
            if holder == owner:
                _renew(connection, name, owner, lease_s)
                return token
            return None if holder else _take(connection, name, owner, lease_s)

        # Waiting owners try repeatedly: a read avoids the queue of writes.
        holder, _ = self.database.read(lambda connection: _holder(connection, name))
        return self.database.write(take) if holder in ("", owner) else None

    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """See `LockDriver.renew`."""
        return self.database.write(lambda connection: _renew(connection, name, owner, lease_s))

    def release(self, name: str, owner: str) -> bool:
        """See `LockDriver.release`."""
        return self.database.write(lambda connection: _renew(connection, name, owner, 0.0))

    def inspect(self) -> Iterator[LockStatus]:
        """See `LockDriver.inspect`: some at a time, by name."""
        after = ""
        while page := self.database.read(partial(_held_after, name=after)):
            yield from page
            after = page[-1].name


def _holder(connection: sqlite3.Connection, name: str) -> tuple[str, int]:
    """Return owner and token of the lock; `("", 0)` if it is free."""
    row: tuple[str, int] | None = connection.execute(
        _HELD, (name, _uptime.boot(), _uptime.seconds())
    ).fetchone()
    return row or ("", 0)


def _held_after(connection: sqlite3.Connection, *, name: str) -> list[LockStatus]:
    now = _uptime.seconds()
    rows = connection.execute(_HELD_AFTER, (now, name, _uptime.boot(), now, _PAGE))
    return [LockStatus(name=row[0], owner=row[1], token=row[2], left_s=row[3]) for row in rows]


def _take(connection: sqlite3.Connection, name: str, owner: str, lease_s: float) -> int:
    first_token = time.time_ns() // 1_000_000  # above every token of an earlier, now deleted file
    values = (name, first_token, owner, _uptime.boot(), _uptime.seconds() + lease_s)
    connection.execute(_TAKE, values)
    token: int = connection.execute(_COUNTED, (name,)).fetchone()[0]
    return token


def _renew(connection: sqlite3.Connection, name: str, owner: str, lease_s: float) -> bool:
    now = _uptime.seconds()
    return connection.execute(_RENEW, (now + lease_s, name, owner, _uptime.boot(), now)).rowcount == 1
