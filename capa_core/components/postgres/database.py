"""Databases on PostgreSQL, by psycopg 3 and SQLAlchemy's dialect for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from math import ceil
from typing import Any, Self

import psycopg
from psycopg import errors
from psycopg.abc import PQGen, PQGenConn
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field
from sqlalchemy import URL, Connection, text

from capa_core.abilities import NATIVE
from capa_core.blocks.database.driver import DEADLINE, DatabaseFeature
from capa_core.blocks.database.over_sqlalchemy import PooledSettings, SqlDatabase
from capa_core.components.postgres._connection import is_pooled
from capa_core.components.postgres._errors import OverdueError, name_error, on_connecting
from capa_core.components.postgres._risks import NAMES, risks
from capa_core.components.postgres._settings import Address
from capa_core.components.postgres._timed import TimedConnection
from capa_core.driver import Risk
from capa_core.errors import (
    AlreadyExistsError,
    CapaError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnknownError,
    UnsupportedError,
)
from capa_core.secret import FreshSecret, Secret, without_credentials

_GRACE_S = 0.5
"""Seconds after which a statement that the server should have ended is given up, with its connection."""
# Of the application's own tables, where those of Capa's blocks have other causes.
_BY_CODE: dict[str, type[CapaError]] = {
    "23505": AlreadyExistsError,
    "23": ConflictError,
    "3F000": NotFoundError,
    "42P01": NotFoundError,
    "42501": PermissionDeniedError,
    "42": InvalidArgumentError,
}
_SETTINGS = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")


class PostgresDatabaseSettings(PooledSettings):
    """The addresses of the database, the credentials, and the pools of connections.

    Attributes:
        url: `postgresql://[user:password@]host[:port][,host2[:port2]…]/database[?option=value…]`, with the options of
            libpq, such as `sslmode=verify-full`. Of several hosts the first one that accepts writes is used.
        replica_url: The address for transactions that only read; that of `url` by default.
        user: In place of the one in the addresses. References such as `${secret:orders#user}` are read anew for each
            connection.
        password: As `user`: a password that is rotated is used by the next connection.
        pooler: Whether the addresses are those of a pooler in transaction mode, such as pgbouncer; `None` finds it
            out. No statement is prepared then.
    """

    url: Address = Field(default="postgresql://127.0.0.1:5432/postgres", repr=False)
    replica_url: Address = Field(default="", repr=False)
    user: FreshSecret | None = None
    password: FreshSecret | None = None
    pooler: bool | None = None


class _Connection(TimedConnection):
    """A connection of a pool.

    Attributes:
        is_pooled: Whether it leads through a pooler.
        only_reads: Whether it refuses writes.
        server_s: Seconds after which the server itself ends a statement.
        is_free: Whether others use it directly, so that each of their calls has the time of a statement.
    """

    limit_name = "the time for it"
    is_pooled = False
    only_reads = False
    server_s = float("inf")
    is_free = False

    @classmethod
    def of(cls, opening_s: Callable[[], float]) -> type[_Connection]:
        """Return the type of connections that are opened within *opening_s* on each host."""
        return type(cls.__name__, (cls,), {"opening_s": staticmethod(opening_s)})

    @staticmethod
    def opening_s() -> float:
        """Return the seconds that opening one may take, on each host of an address."""
        return float("inf")

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        # `connect_timeout` has whole seconds, two at least, and does not know the time of the caller.
        end = time.monotonic() + cls.opening_s()
        with closing(super()._connect_gen(conninfo)) as steps:  # or its socket stays open with the error
            try:
                wanted = next(steps)
                while time.monotonic() < end:
                    wanted = steps.send((yield wanted))
            except StopIteration as opened:
                connection: Self = opened.value
                return connection
        raise errors.ConnectionTimeout("connection timeout expired")

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """See `TimedConnection.wait`."""
        if self.is_free:
            self.limit_s = self.server_s
            self.begin(self.server_s + _GRACE_S)
        return super().wait(gen, interval, timeout)


class PostgresDatabase(SqlDatabase[PostgresDatabaseSettings]):
    """A database on PostgreSQL, and a replica for reads if the settings name one."""

    settings_type = PostgresDatabaseSettings
    features = dict.fromkeys(DatabaseFeature, NATIVE)

    def __init__(self, settings: PostgresDatabaseSettings) -> None:
        super().__init__(settings)
        self._connection = _Connection.of(self.opening_s)

    def url(self, *, read_only: bool) -> URL:
        """See `SqlDatabase.url`."""
        given = conninfo_to_dict(self._address(read_only))
        port = str(given.get("port", ""))
        return URL.create(
            "postgresql+psycopg",
            host=str(given.get("host", "")) or None,
            port=int(port) if port.isdecimal() else None,
            database=str(given.get("dbname", "")) or None,
        )

    def place_of(self, *, read_only: bool) -> str:
        """See `SqlDatabase.place_of`."""
        return without_credentials(self._address(read_only))

    def connect(self, *, read_only: bool) -> Any:
        """See `SqlDatabase.connect`."""
        login = self._login()
        try:
            return self._opened(read_only, login)
        except psycopg.OperationalError as error:
            again = self._login()  # it may have been rotated between its reading and its use
            if name_error(error) is not PermissionDeniedError or again == login:
                raise
        return self._opened(read_only, again)

    def ready(self, connection: Any) -> None:
        """See `SqlDatabase.ready`: the server is to end statements also where this process has died."""
        if not connection.is_pooled:  # nor among the options of connecting: a pooler refuses both
            wanted = f"SET statement_timeout = {_ms(self.settings.statement_s)}"
            if connection.only_reads:  # for AUTOCOMMIT, where no BEGIN says it
                wanted += "; SET default_transaction_read_only = on"
            connection.autocommit = True
            connection.execute(wanted)
            connection.autocommit = False

    def begin(self, connection: Connection, *, read_only: bool) -> None:
        """See `SqlDatabase.begin`: the library begins it; the server learns of a deadline of its own."""
        given_s = connection.get_execution_options().get(DEADLINE)
        native: Any = connection.connection.dbapi_connection
        if read_only and native.is_pooled and native.autocommit:
            raise UnsupportedError(
                f"{self.gate.component}: a connection that only reads cannot be in AUTOCOMMIT behind a pooler, which"
                " would let writes pass. Nothing was done; leave the isolation level as it is, or use `engine`."
            )
        native.server_s = self.settings.statement_s
        if given_s is not None or native.is_pooled:
            native.server_s = given_s or self.settings.statement_s
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_ms(native.server_s)}")

    def limit(self, connection: Any, end: float) -> None:
        """See `SqlDatabase.limit`: the server ends a statement, which keeps the connection, or else this process."""
        left_s = end - time.monotonic()
        is_server_first = connection.server_s <= left_s + 0.001
        connection.is_free = False
        connection.limit_s = left_s
        connection.begin(left_s + _GRACE_S if is_server_first else left_s)

    def is_usable(self, connection: Any) -> bool:
        """See `SqlDatabase.is_usable`."""
        usable: bool = connection.is_open()
        if usable:
            connection.server_s = self.settings.statement_s
            connection.is_free = True
            if connection.only_reads and not connection.read_only:
                connection.read_only = True  # SQLAlchemy has undone a user's `postgresql_readonly`
        return usable

    def executed(self, connection: Any) -> None:
        """See `SqlDatabase.executed`: COPY, and the rows of a cursor on the server, have their time in each call."""
        connection.is_free = True

    def is_elsewhere(self, error: BaseException, connection: Any) -> bool:
        """See `SqlDatabase.is_elsewhere`: the server has become a standby, unless it was asked to refuse writes."""
        return self.is_refused_write(error) and not connection.read_only

    def is_overdue(self, error: BaseException) -> bool:
        """See `SqlDatabase.is_overdue`."""
        return isinstance(error, OverdueError | psycopg.errors.QueryCanceled)

    def is_refused_write(self, error: BaseException) -> bool:
        """See `SqlDatabase.is_refused_write`."""
        return isinstance(error, psycopg.errors.ReadOnlySqlTransaction)

    def named_natively(self, error: BaseException) -> type[CapaError] | None:
        """See `SqlDatabase.named_natively`."""
        if not isinstance(error, psycopg.Error):
            return None
        code = error.sqlstate or ""
        named = _BY_CODE.get(code) or _BY_CODE.get(code[:2]) or name_error(error)
        return None if named is UnknownError else named

    def about(self, connection: Connection) -> str:
        """See `SqlDatabase.about`."""
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return f"PostgreSQL {str(version).partition(' ')[0]}"

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        with self.engine(read_only=False).connect() as connection:
            found = connection.execute(_SETTINGS, {"names": list(NAMES)})
            return risks({row.name: row.setting for row in found}, [])

    def _address(self, read_only: bool) -> str:
        return (self.settings.replica_url if read_only else "") or self.settings.url

    def _login(self) -> dict[str, Secret]:
        """Return the credentials that hold now, by libpq's names."""
        given = {"user": self.settings.user, "password": self.settings.password}
        return {name: secret.current() for name, secret in given.items() if secret is not None}

    def _opened(self, read_only: bool, login: dict[str, Secret]) -> _Connection:
        address = self._address(read_only)
        target = "any" if read_only else "read-write"
        options: dict[str, Any] = {"application_name": "capa", "target_session_attrs": target}
        options |= conninfo_to_dict(address)
        options |= {name: secret.reveal() for name, secret in login.items()}
        options["connect_timeout"] = max(2, ceil(self.settings.timeout_s))  # `opening_s` is more exact
        try:
            connection = self._connection.connect(autocommit=True, **options)
        except psycopg.OperationalError as error:
            raise on_connecting(error, address) from error
        try:
            self._prepare(connection, read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: _Connection, read_only: bool) -> None:
        connection.limit_s = self.opening_s()
        connection.begin(connection.limit_s)
        connection.is_pooled = is_pooled(connection, self.settings.pooler)
        if connection.is_pooled:
            connection.prepare_threshold = None
        connection.autocommit = False
        connection.only_reads = read_only
        connection.read_only = read_only or None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
