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

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from capa_core.components.sqlite import _uptime
from capa_core.components.sqlite._batch import Job, commit_together
from capa_core.components.sqlite._errors import explain, result_code
from capa_core.components.sqlite._foreign import alteration, strangeness
from capa_core.components.sqlite._line import LONGEST_PAUSE_S, Line
from capa_core.components.sqlite._turns import WriteQueue
from capa_core.components.sqlite._uptime import Connection
from capa_core.errors import ClosedError, DataLossError, DeadlineError, SettingsError, UnavailableError
from capa_core.folders import check_makeable, open_private, own
from capa_core.forks import pause_during_fork

T = TypeVar("T")

_BATCH = 256
_LARGEST_LOG = 4 * 1024**2
"""Bytes that the write-ahead log keeps when it begins anew; the rest, as of a large batch, goes back to the disk."""


@lru_cache(maxsize=1)
def largest_row() -> int:
    """Return the largest row in bytes that this SQLite stores: 1,000,000,000 unless it was built otherwise.

    https://www.sqlite.org/limits.html, 1
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)


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
        self.timeout_s = timeout_s
        self._schema = schema
        self._version = len(schema)
        self._synchronous = "FULL" if durable else "NORMAL"
        self._offset_s = 0.0
        self._identity: tuple[int, int] | None = None
        self._ready = False
        self._closed = False
        self._writer: Connection | None = None
        self._native: Connection | None = None
        self._nothing: Connection | None = None
        self._queue = WriteQueue()
        self._line = Line(path)
        self._committing = threading.Lock()
        self._readers: list[Connection] = []
        self._reading = 0
        self._paused = False
        self._turn = threading.Condition(threading.Lock())
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
        if not self._ready:
            if self._identity is None and not self.path.exists():
                return self._read_nothing(function)
            with self._committing, self._explained():
                self._open_writer()
        self._check_present()
        connection = self._begin_reading()
        try:
            connection = connection or self._connect()
            return function(connection)
        except sqlite3.Error as error:
            self._explain(error)
            if connection is not None:
                self._refuse_altered(error, self._alteration(connection))
            raise
        finally:
            self._end_reading(connection)

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
            if self._queue.enter(job, 2 * self.timeout_s):
                with self._committing:
                    try:
                        self._commit_waiting()
                    except BaseException:  # an interrupt: an open transaction would lock out all processes
                        self._roll_back()
                        raise
        except TimeoutError:
            raise self._no_turn(2 * self.timeout_s) from None
        finally:
            self._queue.leave(job)
        try:
            return job.outcome()
        except sqlite3.Error as error:
            self._explain(error)
            self._refuse_altered(error, self.read(self._alteration))
            raise

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, which only then gets shorter; do nothing while others use the log."""
        with self._committing, self._explained():
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
        with self._committing, self._explained():
            self._open_writer()
            if self._native is None:
                self._native = self._connect()
            return self._native

    def close(self) -> None:
        """Wait for running calls, then close all connections. A second `close` does nothing."""
        self.pause()
        self._closed = True
        self.resume()

    def pause(self) -> None:
        """Wait for running calls, close all connections, and block new calls until `resume`."""
        self._committing.acquire()
        with self._turn:
            self._paused = True
            self._turn.wait_for(lambda: not self._reading)
            while self._readers:
                self._readers.pop().close()
        for connection in filter(None, (self._native, self._nothing)):
            connection.close()
        self._native = self._nothing = None
        if self._writer is not None:
            self._writer.close()
            self._writer, self._ready = None, False
        self._line.close()

    def resume(self, *, in_child: bool = False) -> None:
        """Allow calls again after `pause`; in a forked child, drop the waiting threads of the parent."""
        if in_child:
            self._queue = WriteQueue()
            self._turn = threading.Condition(threading.Lock())
        with self._turn:
            self._paused = False
            self._turn.notify_all()
        self._committing.release()

    def _read_nothing(self, function: Callable[[Connection], T]) -> T:
        """Return the result of *function* on tables without rows, in memory."""
        check_makeable(self.path)
        with self._committing, self._explained():
            if self._closed:
                raise self._was_closed()
            if self._nothing is None:
                self._nothing = self._connect(":memory:")
                self._upgrade(self._nothing)
                _uptime.store_offset(self._nothing)
                self._nothing.offset_s = _uptime.known_offset(self._nothing) or 0.0
            return function(self._nothing)

    def _begin_reading(self) -> Connection | None:
        """Register a reader and return an idle connection; `None` if there is none."""
        with self._turn:
            while self._paused:
                self._turn.wait()
            if self._closed:
                raise self._was_closed()
            self._reading += 1
            return self._readers.pop() if self._readers else None

    def _end_reading(self, connection: Connection | None) -> None:
        with self._turn:
            self._reading -= 1
            if connection is not None:
                self._readers.append(connection)
            if self._paused:
                self._turn.notify_all()

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
        self._check_present()
        self._begin(connection)
        return connection

    def _begin(self, connection: Connection) -> None:
        """Open a transaction, in the line of all processes that write."""
        with self._in_line():
            self._until_free(lambda: connection.execute("BEGIN IMMEDIATE"))

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        try:
            with self._line.first(self.timeout_s):
                yield
        except TimeoutError:
            raise self._no_turn(self.timeout_s) from None

    def _roll_back(self) -> None:
        """Roll back a transaction that an interrupt left open between BEGIN and COMMIT."""
        if self._writer is not None and self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _open_writer(self) -> Connection:
        if self._closed:
            raise self._was_closed()
        if self._writer is None:
            self._check_present()
            if not self.path.parent.is_dir():
                own(self.path.parent)
            _make_private(self.path)
            connection = self._connect()
            try:
                self._prepare(connection)
                self._set_clock(connection)
            except BaseException:
                connection.close()
                raise
            connection.execute("PRAGMA busy_timeout=0")  # from here on `_until_free` waits
            self._writer, self._ready, self._identity = connection, True, _identity(self.path)
        return self._writer

    def _check_present(self) -> None:
        """Check that the file is the one that was opened first: writes to a deleted one end with this process.

        Raises:
            DataLossError: It is not.
        """
        if self._identity is not None and _identity(self.path) != self._identity:
            raise DataLossError(
                f"{self.path} was removed or replaced while this process used it. Nothing was done. "
                "Put the file back, or restart the program to begin with an empty one."
            )

    def _connect(self, place: Path | str | None = None) -> Connection:
        """Open a connection to *place*, by default the file, that several threads use one after another.

        Even a reader may have to wait briefly, while another process opens the file first or closes it last.
        """
        connection = sqlite3.connect(
            place or self.path,
            timeout=self.timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        connection.offset_s = self._offset_s
        try:
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA journal_size_limit={_LARGEST_LOG}")
            connection.execute(
                "PRAGMA fullfsync=1"
            )  # on macOS a plain fsync leaves the data in the disk's cache
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        """Upgrade the file to this version; several processes may do so at once."""
        if self._found(connection) < self._version:
            with self._in_line():  # otherwise those that already write would pass this process over
                if self._found(connection) == 0:  # possible only while the file is empty
                    self._until_free(lambda: connection.execute("PRAGMA auto_vacuum=INCREMENTAL"))
                self._use_wal(connection)
                self._until_free(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                self._upgrade(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        else:
            self._use_wal(connection)

    def _found(self, connection: Connection) -> int:
        """Return the version of the file; 0 if it is empty."""
        found = self._until_free(lambda: _version(connection))
        if found > self._version:
            raise SettingsError(f"{self.path} was made by a newer Capa (format {found}). Upgrade capa-core.")
        strange = self._until_free(lambda: strangeness(connection, self._schema[:found]))
        if strange and self._until_free(lambda: _version(connection)) == found:  # not upgraded in between
            raise DataLossError(
                f"{self.path} is of another program: {strange}. It was left unchanged. Move it away, or choose another"
                " folder."
            )
        return found

    def _use_wal(self, connection: Connection) -> None:
        (mode,) = self._until_free(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone())
        if mode != "wal":
            raise UnavailableError(
                f"{self.path}: the file system does not support WAL. Move the folder to a local disk."
            )

    def _set_clock(self, connection: Connection) -> None:
        """Read the offset of the file's clock; store it if this is the first opening since the machine started."""
        if _uptime.known_offset(connection) is None:
            self._begin(connection)
            _uptime.store_offset(connection)
            connection.execute("COMMIT")
        connection.offset_s = self._offset_s = _uptime.known_offset(connection) or 0.0

    def _upgrade(self, connection: Connection) -> None:
        """Run the steps that the file lacks, in the open transaction."""
        # Read again: another process may have upgraded the file while this one waited for the lock.
        found = _version(connection)
        for step in self._schema[found:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={max(found, self._version)}")

    def _until_free(self, function: Callable[[], T]) -> T:
        """Call *function* until no other process locks the file.

        This is a wait, not a retry as in the portable type: SQLite refuses these statements at once, without its busy
        timeout, while another process opens the same new file.
        """
        end = time.monotonic() + self.timeout_s
        while True:
            try:
                return function()
            except sqlite3.OperationalError as error:
                if result_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > end:
                    raise self._locked() from error
            time.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311 - no secret

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._explain(error)
            raise

    def _explain(self, error: sqlite3.Error) -> None:
        if result_code(error) == sqlite3.SQLITE_BUSY:
            raise self._locked() from error
        explain(error, self.path)

    def _alteration(self, connection: Connection) -> str:
        return alteration(connection, self._schema)

    def _refuse_altered(self, error: sqlite3.Error, how: str) -> None:
        """Refuse a file that another program has altered after it was opened: *how* says in which way."""
        if how and result_code(error) == sqlite3.SQLITE_ERROR:
            raise DataLossError(
                f"{self.path} was altered by another program while this process used it: {how}. Nothing was done. "
                "Put back what is missing, or move the file away and restart the program."
            ) from error

    def _was_closed(self) -> ClosedError:
        return ClosedError(f"{self.path} was closed by this process. Open the component again.")

    def _no_turn(self, waited_s: float) -> DeadlineError:
        return DeadlineError(
            f"{self.path}: no turn to write within {waited_s:g} s: others wrote all the time, or one of them "
            "was stopped. Nothing was done. Try again, or raise `timeout_s` of the component."
        )

    def _locked(self) -> UnavailableError:
        return UnavailableError(
            f"{self.path} stayed locked by another process for {self.timeout_s:g} s. Nothing was done. Try again."
        )


def _make_private(path: Path) -> None:
    """Make the file of this user alone, and so the files that SQLite puts beside it, unless it exists.

    An existing file must not be opened: closing it would drop SQLite's locks.
    """
    with suppress(FileExistsError):
        os.close(open_private(path, os.O_CREAT | os.O_EXCL | os.O_RDWR))


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return a value that differs if *path* is another file; `None` if there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of *script* one by one: `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


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
