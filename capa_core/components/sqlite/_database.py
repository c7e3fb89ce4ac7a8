"""An SQLite file shared by many threads and processes, with every acknowledged write on the disk.

    database = Database(folder / "state.db", "CREATE TABLE IF NOT EXISTS …;", timeout_s=5.0)
    row = database.read(lambda connection: connection.execute("SELECT …", (key,)).fetchone())
    etag = database.write(lambda connection: …)      # returns after the commit is on the disk

- Journal mode WAL: readers and the writer do not wait for each other. Synchronous FULL: a committed write is
  on the disk.
- Group commit: while one thread commits, the writes of the others queue up, and one of those threads commits all of
  them with one fsync. A write that fails is undone alone.
- Processes take turns by SQLite's own write lock, in the order of `_line`. It is tried about every millisecond,
  because the steps of SQLite's built-in wait grow to 100 ms and starve processes.
- Fork: SQLite's locks belong to the process, yet its record of them is copied by a fork, so that SQLite in a
  child that opens the same file would assume that it holds them (howtocorrupt.html, 2.6). Hence every connection
  is closed *before* a fork, and both sides open theirs when next needed. A driver need not do anything.

The file must not be opened by other means within the process: closing it would drop SQLite's locks
(https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from capa_core.components.sqlite._access import Access
from capa_core.components.sqlite._batch import Job, commit_together
from capa_core.components.sqlite._file import DatabaseFile
from capa_core.components.sqlite._readers import Readers
from capa_core.components.sqlite._turns import WriteQueue
from capa_core.components.sqlite._uptime import Connection
from capa_core.errors import ClosedError
from capa_core.folders import check_makeable
from capa_core.forks import pause_during_fork

T = TypeVar("T")

_BATCH = 256


class Database:
    """A runner of functions on connections to one file. The first write creates the file and its folder.

    A read finds nothing where there is no file, and makes none: a program that looks on leaves no trace.

    A function given to `read` or `write` must fetch all the rows it needs, must keep neither connection
    nor cursor, and must not call the database again or fork.

    Args:
        path: The file. It must be on a local disk: WAL needs memory shared between the processes.
        schema: The steps from an empty file to the current version, each of statements ended by `;`. Step *n* makes
            version *n* from the one before, so released steps stay as they are. A file of a later version is refused.
        timeout_s: Seconds for which a call waits for the writes of other processes.
        durable: Whether a write is on the disk when it returns; if not, a power cut may undo the latest of them.
    """

    def __init__(self, path: Path, *schema: str, timeout_s: float = 5.0, durable: bool = True) -> None:
        self.path = path
        self._access = Access(path, timeout_s)
        self._file = DatabaseFile(path, schema, self._access, durable=durable)
        self._closed = False
        self._writer: Connection | None = None
        self._native: Connection | None = None
        self._nothing: Connection | None = None
        self._queue = WriteQueue()
        self._committing = threading.Lock()
        self._readers = Readers()
        with _all_lock:
            _all.add(self)

    def read(self, function: Callable[[Connection], T]) -> T:
        """Return the result of *function*; each statement in it sees the data committed when it starts.

        Raises:
            ClosedError: The database was closed.
            SettingsError: A newer Capa made the file.
            UnavailableError: The file cannot be opened or locked; or there is none, and none can be made.
            PermissionDeniedError: There is none, and this user may not make it.
            DataLossError: The file is damaged, is not an SQLite file of Capa, or was altered or removed. It is left
                unchanged.
        """
        if self._writer is None:
            if self._file.is_missing():
                return self._read_nothing(function)
            with self._committing, self._access.explained():
                self._open_writer()
        self._file.check_present()
        connection = self._readers.begin()
        try:
            if self._closed:
                raise self._was_closed()
            connection = connection or self._file.connect()
            return function(connection)
        except sqlite3.Error as error:
            self._access.explain(error)
            if connection is not None:
                self._file.refuse_altered(error, self._file.alteration(connection))
            raise
        finally:
            self._readers.end(connection)

    def write(self, function: Callable[[Connection], T]) -> T:
        """Return the result of *function*, after the transaction in which it ran is on the disk.

        The function runs alone: no other write, of this or another process, comes between its reads and
        writes. It runs once, on any thread, and must neither begin nor commit. An error undoes only its own
        changes.

        Raises:
            ClosedError: The database was closed. Nothing was done.
            SettingsError: A newer Capa made the file. Nothing was done.
            UnavailableError: One process kept the file locked for `timeout_s`. Nothing was done.
            DeadlineError: Other writes came first for `timeout_s`, or for twice as long in this process.
                Nothing was done.
            ExhaustedError: The disk is full. Nothing was done.
            DataLossError: The file is damaged, is no SQLite file of Capa, or was altered or removed. It is left as it
                is.
        """
        job = Job(function)
        try:
            if self._queue.enter(job, 2 * self._access.timeout_s):
                with self._committing:
                    try:
                        self._commit_waiting()
                    except BaseException:  # an interrupt: an open transaction would lock out all processes
                        self._roll_back()
                        raise
        except TimeoutError:
            raise self._access.no_turn(2 * self._access.timeout_s) from None
        finally:
            self._queue.leave(job)
        try:
            return job.outcome()
        except sqlite3.Error as error:
            self._access.explain(error)
            self._file.refuse_altered(error, self.read(self._file.alteration))
            raise

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, which only then gets shorter; do nothing while others use the log."""
        with self._committing, self._access.explained():
            self._open_writer().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def native(self) -> sqlite3.Connection:
        """Return a connection for the application's own statements, the same one until a fork or `close` closes it.

        Any thread may use it, and all of them share its transaction: a thread that begins one keeps the others off
        the connection until it has ended it. An open write transaction blocks all writers of the file, in every
        process. It is closed before a fork, on both sides: get it again afterwards.

        Raises:
            ClosedError: The database was closed.
            SettingsError: A newer Capa made the file.
            UnavailableError: The file cannot be used in this way.
        """
        with self._committing, self._access.explained():
            self._open_writer()
            if self._native is None:
                self._native = self._file.connect()
            return self._native

    def close(self) -> None:
        """Wait for running calls, then close all connections. A second `close` does nothing."""
        self.pause()
        self._closed = True
        self.resume()

    def pause(self) -> None:
        """Wait for running calls, close all connections, and block new calls until `resume`."""
        self._committing.acquire()
        self._readers.pause()
        for connection in filter(None, (self._native, self._nothing)):
            connection.close()
        self._native = self._nothing = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._access.close()

    def resume(self, *, in_child: bool = False) -> None:
        """Allow calls again after `pause`; in a forked child, drop the waiting threads of the parent."""
        if in_child:
            self._queue = WriteQueue()
        self._readers.resume(in_child=in_child)
        self._committing.release()

    def _read_nothing(self, function: Callable[[Connection], T]) -> T:
        """Return the result of *function* on tables without rows, in memory."""
        check_makeable(self.path)
        with self._committing, self._access.explained():
            if self._closed:
                raise self._was_closed()
            if self._nothing is None:
                self._nothing = self._file.connect_to_nothing()
            return function(self._nothing)

    def _commit_waiting(self) -> None:
        try:
            connection = self._begin_writing()
        except Exception as error:  # noqa: BLE001 - the callers raise it
            for job in self._queue.take(_BATCH):
                job.fail(error)
        else:
            # Taken only now, so that writes queued while another process was writing share the fsync.
            commit_together(connection, self._queue.take(_BATCH))

    def _begin_writing(self) -> Connection:
        """Return the writing connection with an open transaction, once no other process has one."""
        connection = self._open_writer()
        self._roll_back()
        self._file.check_present()
        self._access.begin(connection)
        return connection

    def _roll_back(self) -> None:
        """Roll back a transaction that an interrupt left open between BEGIN and COMMIT."""
        if self._writer is not None and self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _open_writer(self) -> Connection:
        if self._closed:
            raise self._was_closed()
        if self._writer is None:
            self._writer = self._file.open_writer()
        return self._writer

    def _was_closed(self) -> ClosedError:
        return ClosedError(f"{self.path} was closed by this process. Open the component again.")


_all: weakref.WeakSet[Database] = weakref.WeakSet()
_all_lock = threading.Lock()
_paused_for_fork: list[Database] = []


def _before_fork() -> None:
    _all_lock.acquire()
    for database in list(_all):
        database.pause()
        _paused_for_fork.append(database)


def _after_fork(in_child: bool) -> None:
    while _paused_for_fork:
        _paused_for_fork.pop().resume(in_child=in_child)
    _all_lock.release()


pause_during_fork(_before_fork, _after_fork)
