"""The uptime of the machine: a clock for leases that all processes share and that cannot be set.

A time that must outlive a restart of the machine, such as the due time of a delayed message, is one since the epoch:
the uptime and an offset, which the file keeps for all processes until the next start.
"""

from __future__ import annotations

import sqlite3
import time
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Return a text that differs after each start of the machine; `""` if the system has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def seconds() -> float:
    """Return the seconds since `boot`, including sleep; since the epoch if there is no `boot`.

    The latter is exact enough for leases, but jumps when the clock is set.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if boot() else time.time()


_TABLE = "CREATE TABLE IF NOT EXISTS clock (boot TEXT PRIMARY KEY, offset_s REAL NOT NULL) WITHOUT ROWID"
_KNOWN = "SELECT offset_s FROM clock WHERE boot = ?"


class Connection(sqlite3.Connection):
    """A connection with the clock by which times in its file are measured."""

    offset_s = 0.0

    def now(self) -> float:
        """Return the seconds since the epoch by a clock that all processes share and that nobody can set.

        It agrees with the time that the machine showed when the file was first opened after the start of the machine.
        """
        return seconds() + self.offset_s


def known_offset(connection: sqlite3.Connection) -> float | None:
    """Return the seconds from `seconds` to the epoch that were stored since the machine started; `None` without."""
    if not boot():
        return 0.0
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'clock'").fetchone():
        return None
    row = connection.execute(_KNOWN, (boot(),)).fetchone()
    return None if row is None else float(row[0])


def store_offset(connection: sqlite3.Connection) -> None:
    """Store the offset of now, unless another process has just done so; a part of the caller's transaction."""
    connection.execute(_TABLE)
    if known_offset(connection) is None:
        connection.execute("DELETE FROM clock")
        connection.execute("INSERT INTO clock VALUES (?, ?)", (boot(), time.time() - seconds()))
