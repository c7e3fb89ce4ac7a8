"""Databases on SQLite, in a file or in memory: the particulars of its dialect.

- Journal mode WAL and synchronous FULL in a file: readers and the writer do not wait for each other, and what was
  committed is on the disk. Foreign keys are on.
- A transaction that may write begins with BEGIN IMMEDIATE. It waits for its turn there; later, SQLite would refuse its
  first write at once where another one wrote meanwhile.
- Fork: SQLite's locks belong to the process, yet its record of them is copied by a fork, so that a child that opens the
  same file would assume that it holds them (howtocorrupt.html, 2.6). Hence a fork waits for open transactions of other
  threads, and all connections are closed before it. A child of a thread that is in a transaction is refused.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from abc import abstractmethod
from typing import Any

from sqlalchemy import URL, Connection

from capa_core.blocks.database.over_sqlalchemy import SqlDatabase
from capa_core.driver import SettingsT
from capa_core.errors import (
    AlreadyExistsError,
    CapaError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from capa_core.forks import pause_during_fork

_STEPS_BETWEEN_LOOKS = 10_000
"""Instructions of SQLite's machine, about a millisecond, after which it looks at the clock."""
_LOOK_S = 0.005
# https://www.sqlite.org/rescode.html
_TWICE = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}


class NativeConnection(sqlite3.Connection):
    """A connection whose statements end in time."""

    end = float("inf")
    busy_s = 0.0

    def is_over(self) -> bool:
        """Return whether the time of the present statement is over: SQLite ends it then."""
        return time.monotonic() > self.end

    def wait_for_locks(self, seconds: float) -> None:
        """Wait for the locks of others for at most *seconds* in each statement."""
        if seconds != self.busy_s:
            self.busy_s = seconds
            self.execute(f"PRAGMA busy_timeout = {max(1, round(seconds * 1000))}")


class OverSqlite(SqlDatabase[SettingsT]):
    """A database on SQLite; a subclass says where it is."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self._was_in_use = False
        self._opening = threading.RLock()
        with _all_lock:
            _all.add(self)

    @abstractmethod
    def opened(self, *, read_only: bool) -> NativeConnection:
        """Open a connection, which any thread may use, in autocommit mode."""

    def url(self, *, read_only: bool) -> URL:
        """See `SqlDatabase.url`."""
        return URL.create("sqlite+pysqlite", database=self.place_of(read_only=read_only) or "memory")

    def connect(self, *, read_only: bool) -> NativeConnection:
        """See `SqlDatabase.connect`."""
        if self._was_in_use:
            raise UnavailableError(
                f"{self.gate.component} cannot be used in this process: it was forked in a transaction, and SQLite's"
                " locks would be taken for the child's. Fork outside of transactions, or start processes by `spawn`."
            )
        connection = self.opened(read_only=read_only)
        try:
            connection.wait_for_locks(self.options.timeout_s)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
            connection.set_progress_handler(connection.is_over, _STEPS_BETWEEN_LOOKS)
        except BaseException:
            connection.close()
            raise
        return connection

    def opened_connection(self, *, read_only: bool) -> Any:
        """See `SqlDatabase.opened_connection`: none is opened during a fork."""
        with self._opening:
            return super().opened_connection(read_only=read_only)

    def begin(self, connection: Connection, *, read_only: bool) -> None:
        """See `SqlDatabase.begin`."""
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    def limit(self, connection: Any, end: float) -> None:
        """See `SqlDatabase.limit`."""
        connection.end = float("inf")  # or the next statement is ended by the time of the one before
        left_s = end - time.monotonic()
        connection.wait_for_locks(min(self.options.timeout_s, max(0.001, left_s)))
        connection.end = end

    def is_usable(self, connection: Any) -> bool:
        """See `SqlDatabase.is_usable`."""
        connection.end = float("inf")
        connection.isolation_level = None  # SQLAlchemy sets the library's own, after AUTOCOMMIT
        return True

    def is_overdue(self, error: BaseException) -> bool:
        """See `SqlDatabase.is_overdue`."""
        return _code(error) == sqlite3.SQLITE_INTERRUPT

    def is_refused_write(self, error: BaseException) -> bool:
        """See `SqlDatabase.is_refused_write`."""
        return _code(error) == sqlite3.SQLITE_READONLY

    def named_natively(self, error: BaseException) -> type[CapaError] | None:
        """See `SqlDatabase.named_natively`."""
        if getattr(error, "sqlite_errorcode", None) in _TWICE:
            return AlreadyExistsError
        if _code(error) == sqlite3.SQLITE_CONSTRAINT:
            return ConflictError
        if isinstance(error, sqlite3.OperationalError) and _code(error) == sqlite3.SQLITE_ERROR:
            return NotFoundError if str(error).startswith("no such table") else InvalidArgumentError
        return None

    def about(self, connection: Connection) -> str:
        """See `SqlDatabase.about`."""
        version = connection.exec_driver_sql(
            "SELECT sqlite_version() FROM (SELECT count(*) FROM sqlite_master)"
        )
        return f"SQLite {version.scalar_one()}"

    def pause(self) -> None:
        """Close all connections before a fork, when others have ended their transactions, and open none."""
        self._opening.acquire()
        end = time.monotonic() + self.options.timeout_s
        self.renew()
        while self.gate.open_of_others() and time.monotonic() < end:
            time.sleep(_LOOK_S)

    def resume(self, *, in_child: bool) -> None:
        """Allow connections again; in the child none, if one of the parent was open."""
        if in_child:
            self._was_in_use = self.gate.has_open()
        self._opening.release()


def _code(error: BaseException) -> int:
    """Return the primary result code of an error of SQLite, without the detail in its upper bits."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


_all: weakref.WeakSet[OverSqlite[Any]] = weakref.WeakSet()
_all_lock = threading.Lock()
_paused: list[OverSqlite[Any]] = []


def _before_fork() -> None:
    _all_lock.acquire()
    for one in list(_all):
        one.pause()
        _paused.append(one)


def _after_fork(in_child: bool) -> None:
    while _paused:
        _paused.pop().resume(in_child=in_child)
    _all_lock.release()


pause_during_fork(_before_fork, _after_fork)
