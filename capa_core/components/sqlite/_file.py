"""The file of a database: made, brought up to date, recognised as Capa's, and found in its place ever after."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path

from capa_core.components.sqlite import _uptime
from capa_core.components.sqlite._access import Access
from capa_core.components.sqlite._errors import result_code
from capa_core.components.sqlite._foreign import alteration, strangeness
from capa_core.components.sqlite._uptime import Connection
from capa_core.errors import DataLossError, SettingsError, UnavailableError
from capa_core.folders import open_private, own

_LARGEST_LOG = 4 * 1024**2
"""Bytes that the write-ahead log keeps when it begins anew; the rest, as of a large batch, goes back to the disk."""


@lru_cache(maxsize=1)
def largest_row() -> int:
    """Return the largest row in bytes that this SQLite stores: 1,000,000,000 unless it was built otherwise.

    https://www.sqlite.org/limits.html, 1
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)


class DatabaseFile:
    """The file *path*, whose tables the steps *schema* make; see `Database` for the arguments.

    Several processes may open the same new file at once.
    """

    def __init__(self, path: Path, schema: Sequence[str], access: Access, *, durable: bool) -> None:
        self.path = path
        self._access = access
        self._schema = tuple(schema)
        self._version = len(schema)
        self._synchronous = "FULL" if durable else "NORMAL"
        self._offset_s = 0.0
        self._identity: tuple[int, int] | None = None

    def is_missing(self) -> bool:
        """Return whether there is no file, and this process has opened none."""
        return self._identity is None and not self.path.exists()

    def check_present(self) -> None:
        """Check that the file is the one that was opened first: writes to a deleted one end with this process.

        Raises:
            DataLossError: It is not.
        """
        if self._identity is not None and _identity(self.path) != self._identity:
            raise DataLossError(
                f"{self.path} was removed or replaced while this process used it. Nothing was done. "
                "Put the file back, or restart the program to begin with an empty one."
            )

    def open_writer(self) -> Connection:
        """Make the file if need be, bring it up to this version, and return the connection that writes.

        Raises:
            SettingsError: A newer Capa made the file.
            DataLossError: It is of another program, or no longer there.
            UnavailableError: Its disk has no memory shared between processes, or a process kept it locked.
            DeadlineError: Others wrote all the time.
        """
        self.check_present()
        if not self.path.parent.is_dir():
            own(self.path.parent)
        _make_private(self.path)
        connection = self.connect()
        try:
            self._prepare(connection)
            self._set_clock(connection)
        except BaseException:
            connection.close()
            raise
        connection.execute("PRAGMA busy_timeout=0")  # from here on `Access` waits
        self._identity = _identity(self.path)
        return connection

    def connect(self) -> Connection:
        """Return a connection that several threads use one after another.

        Even a reader may have to wait briefly, while another process opens the file first or closes it last.
        """
        return self._connect(self.path)

    def connect_to_nothing(self) -> Connection:
        """Return a connection to the tables without rows, in memory."""
        connection = self._connect(":memory:")
        self._upgrade(connection)
        _uptime.store_offset(connection)
        connection.offset_s = _uptime.known_offset(connection) or 0.0
        return connection

    def alteration(self, connection: Connection) -> str:
        """Return in words what the file lacks of its tables and indexes; `""` if nothing."""
        return alteration(connection, self._schema)

    def refuse_altered(self, error: sqlite3.Error, how: str) -> None:
        """Refuse a file that another program has altered after it was opened: *how* says in which way.

        Raises:
            DataLossError: There is a *how*, and *error* comes from it.
        """
        if how and result_code(error) == sqlite3.SQLITE_ERROR:
            raise DataLossError(
                f"{self.path} was altered by another program while this process used it: {how}. Nothing was done. "
                "Put back what is missing, or move the file away and restart the program."
            ) from error

    def _connect(self, place: Path | str) -> Connection:
        connection = sqlite3.connect(
            place,
            timeout=self._access.timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        connection.offset_s = self._offset_s
        try:
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA journal_size_limit={_LARGEST_LOG}")
            # On macOS a plain fsync leaves the data in the disk's cache.
            connection.execute("PRAGMA fullfsync=1")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        """Upgrade the file to this version."""
        if self._found(connection) == self._version:
            self._use_wal(connection)
            return
        with self._access.in_line():  # otherwise those that already write would pass this process over
            if self._found(connection) == 0:  # possible only while the file is empty
                self._access.until_free(lambda: connection.execute("PRAGMA auto_vacuum=INCREMENTAL"))
            self._use_wal(connection)
            self._access.until_free(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            self._upgrade(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _found(self, connection: Connection) -> int:
        """Return the version of the file; 0 if it is empty."""
        found = self._access.until_free(lambda: _version(connection))
        if found > self._version:
            raise SettingsError(f"{self.path} was made by a newer Capa (format {found}). Upgrade capa-core.")
        strange = self._access.until_free(lambda: strangeness(connection, self._schema[:found]))
        # Not if it was upgraded in between.
        if strange and self._access.until_free(lambda: _version(connection)) == found:
            raise DataLossError(
                f"{self.path} is of another program: {strange}. It was left unchanged. Move it away, or choose another"
                " folder."
            )
        return found

    def _use_wal(self, connection: Connection) -> None:
        (mode,) = self._access.until_free(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone())
        if mode != "wal":
            raise UnavailableError(
                f"{self.path}: the file system does not support WAL. Move the folder to a local disk."
            )

    def _set_clock(self, connection: Connection) -> None:
        """Read the offset of the file's clock; store it if this is the first opening since the machine started."""
        if _uptime.known_offset(connection) is None:
            self._access.begin(connection)
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
