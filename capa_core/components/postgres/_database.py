"""The connections of a component, and the tables that its calls find."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg

from capa_core.components.postgres._connection import Connection, is_pooled
from capa_core.components.postgres._errors import OverdueError, is_gone
from capa_core.components.postgres._migrations import migrate
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.components.postgres._timed import Row
from capa_core.errors import ClosedError

T = TypeVar("T")

_NOT_WRITABLE = """
SELECT schemaname || '.' || tablename FROM pg_tables
WHERE schemaname = %(schema)s AND tablename <> 'migration'
    AND EXISTS (
        SELECT FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
        WHERE NOT has_table_privilege(format('%%I.%%I', schemaname, tablename), needed)
    )
"""


class Database:
    """Connections that are opened when needed and used again, the last used one first.

    Args:
        settings: The address and the options.
        block: The block whose tables these are.
        steps: The migrations that make them (`_migrations.py`), which the first call carries out.
    """

    def __init__(self, settings: PostgresSettings, block: str, steps: Sequence[str]) -> None:
        self.settings = settings
        self.block = block
        self._steps = steps
        self.forget()

    def forget(self) -> None:
        """Begin without connections: after a fork those here are the parent's, which psycopg leaves open."""
        self._free = threading.BoundedSemaphore(self.settings.max_connections)
        self._idle: deque[Connection] = deque()
        self._migrating = threading.Lock()
        self._is_migrated = self._closed = False

    def run(self, query: str, **values: object) -> list[Row]:
        """Execute one statement in a transaction of its own, in one round trip, and return its rows."""
        return self._with_connection(lambda connection: connection.run(query, **values))

    def change(self, query: str, **values: object) -> int:
        """Execute one statement as `run` does, and return the number of rows that it changed."""
        return self._with_connection(lambda connection: connection.change(query, **values))

    def run_each(self, statements: Sequence[tuple[str, dict[str, object]]]) -> list[list[Row]]:
        """Execute *statements* in one transaction, and return the rows of each."""
        if len(statements) == 1:
            ((query, values),) = statements
            return [self.run(query, **values)]
        return self._with_connection(lambda connection: connection.run_each(statements))

    def notify(self, channel: str, subjects: Sequence[str]) -> bool:
        """Send notices; see `Connection.notify`."""
        return self._with_connection(lambda connection: connection.notify(channel, subjects))

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one transaction."""

        def whole(connection: Connection) -> T:
            with connection.limited_transaction():
                return work(connection)

        return self._with_connection(whole)

    def about(self) -> str:
        """Return one line about the server."""
        return self._with_connection(_about)

    def show(self, names: Sequence[str]) -> dict[str, str]:
        """Return the server's present settings of *names*; without those that it does not know."""
        query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%(names)s)"
        return dict(self.run(query, names=list(names)))

    def close(self) -> None:
        """Close the idle connections; those in use close when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _with_connection(self, work: Callable[[Connection], T]) -> T:
        end = time.monotonic() + self.settings.timeout_s
        if not self._free.acquire(timeout=self.settings.timeout_s):
            raise OverdueError(
                f"all {self.settings.max_connections} connections were in use for {self.settings.timeout_s:g} s;"
                " max_connections allows more"
            )
        free = self._free
        try:
            connection = self._taken(end)
            try:
                result = work(connection)
            except psycopg.Error as error:
                if is_gone(error):
                    self._is_migrated = False
                raise
            finally:
                self._give_back(connection)
        finally:
            free.release()
        return result

    def _taken(self, end: float) -> Connection:
        """Return a connection that is open and finds its tables."""
        connection = self._idle_one() or Connection.open(self.settings)
        try:
            connection.begin(end - time.monotonic())
            if not self._is_migrated:
                with self._migrating:
                    if not self._is_migrated:
                        migrate(connection, self.block, self._steps)
                        self._is_migrated = True
        except BaseException:
            connection.close()
            raise
        return connection

    def _idle_one(self) -> Connection | None:
        if self._closed:
            raise ClosedError("the component is closed")
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                return None
            if connection.is_open():
                return connection
            connection.close()
        return None

    def _give_back(self, connection: Connection) -> None:
        if connection.closed or self._closed:
            connection.close()
        else:
            self._idle.append(connection)


def _about(connection: Connection) -> str:
    ((version, is_read_only),) = connection.run(
        "SELECT current_setting('server_version'), current_setting('transaction_read_only')::boolean"
    )
    if is_read_only:
        raise psycopg.errors.ReadOnlySqlTransaction(f"{connection.info.dbname} accepts no writes")
    for (table,) in connection.run(_NOT_WRITABLE, schema=connection.schema):
        raise psycopg.errors.InsufficientPrivilege(f"{connection.info.user} may not write to {table}")
    info = connection.info
    place = f"{info.host}:{info.port}/{info.dbname}"
    return f"PostgreSQL {version.partition(' ')[0]} at {place}" + ", behind a pooler" * connection.is_pooled


class Client:
    """The connection for callers who ask for the engine's own, opened when they first do."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self.forget()

    def forget(self) -> None:
        """Begin without a connection: after a fork the one here is the parent's."""
        self._lock = threading.Lock()
        self._open: psycopg.Connection[Row] | None = None

    def connection(self) -> psycopg.Connection[Row]:
        """Return the connection, a new one if the last one was closed or lost."""
        with self._lock:
            if self._open is None or self._open.closed:
                self._open = psycopg.connect(self._settings.url, autocommit=True, application_name="capa")
                if is_pooled(self._open, self._settings.pooler):
                    self._open.prepare_threshold = None
            return self._open

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
