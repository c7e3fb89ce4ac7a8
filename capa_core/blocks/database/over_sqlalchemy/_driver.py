"""The driver of a database over the particulars of its dialect."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import ExceptionContext

from capa_core.blocks.database.driver import DEADLINE, DatabaseDriver, DatabaseLimits, PoolStatus
from capa_core.blocks.database.over_sqlalchemy._errors import translated, usual_name
from capa_core.blocks.database.over_sqlalchemy._pool import Gate, WatchedPool
from capa_core.blocks.database.over_sqlalchemy._settings import PooledSettings
from capa_core.call.deadline import remaining_s
from capa_core.driver import SettingsT
from capa_core.errors import CapaError, DeadlineError, PermissionDeniedError, UnavailableError
from capa_core.forks import first_use

_GIVEN = "capa_given_s"
_NEXT_STEP = "`capa doctor` shows which setting leads there, and whether it answers."
_OF_SETTINGS = (UnavailableError, PermissionDeniedError)


class SqlDatabase(DatabaseDriver[SettingsT]):
    """Two engines of SQLAlchemy. A subclass has the particulars of a dialect, in methods that raise native errors."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self.options: PooledSettings = settings  # type: ignore[assignment] # those of each dialect are these
        self.gate = Gate(f"database {self.options.service!r}")
        self._engines: dict[bool, Engine] = {}

    # The particulars of a dialect

    @abstractmethod
    def url(self, *, read_only: bool) -> URL:
        """Return the address that SQLAlchemy shows, with its name for the dialect, and without credentials."""

    @abstractmethod
    def connect(self, *, read_only: bool) -> Any:
        """Open a connection of the native library, with the credentials that hold now.

        The one of *read_only* refuses writes, and weak references to it are possible. This *must* return or raise
        within `opening_s`, on each host of an address. Several threads call it at once.
        """

    @abstractmethod
    def limit(self, connection: Any, end: float) -> None:
        """End what the native *connection* does from now on by *end* (monotonic), with an error of `is_overdue`."""

    @abstractmethod
    def is_overdue(self, error: BaseException) -> bool:
        """Return whether the native *error* says that a statement went past its time."""

    @abstractmethod
    def is_refused_write(self, error: BaseException) -> bool:
        """Return whether the native *error* says that a connection which only reads refused a write."""

    @abstractmethod
    def about(self, connection: Connection) -> str:
        """Return the engine with its version, such as `PostgreSQL 16.2`, by a question to the server."""

    def ready(self, connection: Any) -> None:
        """Prepare a native *connection* after SQLAlchemy has asked its first one about the server."""

    def begin(self, connection: Connection, *, read_only: bool) -> None:
        """Begin a transaction, where the native library does not do so by itself."""

    def is_usable(self, connection: Any) -> bool:
        """Return whether an idle native *connection* looks as if it were open still, after it was made as new."""
        del connection
        return True

    def executed(self, connection: Any) -> None:
        """Note that a statement has ended: until the next one, others may use the native *connection* directly."""

    def is_elsewhere(self, error: BaseException, connection: Any) -> bool:
        """Return whether *error*, met in a write, says that writes now go to another server than *connection* does."""
        del error, connection
        return False

    # The driver

    @property
    def limits(self) -> DatabaseLimits:
        """See `DatabaseDriver.limits`."""
        return DatabaseLimits(max_connections=self.options.pool_size + self.options.max_overflow)

    def engine(self, *, read_only: bool) -> Engine:
        """See `DatabaseDriver.engine`."""
        self.gate.check_open()
        found = self._engines.get(read_only)
        if found is None:
            with first_use:
                if read_only not in self._engines:
                    self._engines[read_only] = self._made(read_only)
                found = self._engines[read_only]
        return found

    def inspect(self) -> Sequence[PoolStatus]:
        """See `DatabaseDriver.inspect`."""
        return [self._status(read_only, engine) for read_only, engine in list(self._engines.items())]

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: SQLAlchemy's engine for writes, for many threads."""
        return {Engine: lambda: self.engine(read_only=False)}

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`: errors of the engines are Capa's already."""
        del error
        return None

    def ping(self) -> str:
        """See `Driver.ping`."""
        with self.engine(read_only=False).connect() as connection:
            limited = connection.execution_options(**{DEADLINE: self.options.timeout_s})
            return f"{self.about(limited)} at {self.place_of(read_only=False)}"

    def close(self) -> None:
        """See `Driver.close`: transactions that are open may end, and close their connections then."""
        self.gate.closed = True
        self.renew()

    def renew(self) -> None:
        """Close the idle connections now, and those in use when they are given back."""
        for engine in list(self._engines.values()):
            engine.dispose()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.gate.forget()
        for engine in self._engines.values():
            engine.dispose(close=False)

    def _made(self, read_only: bool) -> Engine:
        options = self.options
        engine = create_engine(
            self.url(read_only=read_only),
            poolclass=WatchedPool.of(self.gate, read_only=read_only, timeout_s=options.timeout_s),
            pool_size=options.pool_size,
            max_overflow=options.max_overflow,
            pool_recycle=options.recycle_s,
            hide_parameters=True,  # they are the users' data, and errors are logged
        )
        self._connect_by(engine, read_only)
        self.gate.watch(engine)
        self._limit_statements(engine)
        self._translate_errors(engine, read_only)

        @event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            self.begin(connection, read_only=read_only)

        return engine

    def _connect_by(self, engine: Engine, read_only: bool) -> None:
        @event.listens_for(engine, "do_connect")
        def opening(*_: Any) -> Any:
            return self.opened_connection(read_only=read_only)

        @event.listens_for(engine, "connect")
        def connected(connection: Any, *_: Any) -> None:
            self.ready(connection)

        @event.listens_for(engine, "checkout")
        def taken(connection: Any, *_: Any) -> None:
            if not self.is_usable(connection):
                raise exc.DisconnectionError("the connection was closed while it was idle")

    def opening_s(self) -> float:
        """Return the seconds that opening a connection may take now: `timeout_s`, or less where the caller has less."""
        return remaining_s(self.options.timeout_s)

    def opened_connection(self, *, read_only: bool) -> Any:
        """Return a new native connection, which the gate follows."""
        self.gate.check_open()
        connection = self._connected(read_only)
        self.gate.opened(connection)
        return connection

    def _connected(self, read_only: bool) -> Any:
        try:
            return self.connect(read_only=read_only)
        except OSError as error:
            if isinstance(error, CapaError):
                raise
            named = PermissionDeniedError if isinstance(error, PermissionError) else UnavailableError
            raise named(f"{self.gate.component}: connecting failed: {error}. {_NEXT_STEP}") from error

    def _limit_statements(self, engine: Engine) -> None:
        @event.listens_for(engine, "before_cursor_execute")
        @event.listens_for(engine, "commit")
        def limit(connection: Connection, *_: Any) -> None:
            given_s = connection.get_execution_options().get(DEADLINE, self.options.statement_s)
            left_s = remaining_s(given_s)
            if left_s <= 0:
                raise DeadlineError(
                    f"{self.gate.component}: the caller's time is over; the statement was not sent."
                )
            connection.info[_GIVEN] = given_s
            self.limit(connection.connection.dbapi_connection, time.monotonic() + left_s)

        @event.listens_for(engine, "after_cursor_execute")
        def executed(connection: Connection, *_: Any) -> None:
            self.executed(connection.connection.dbapi_connection)

        @event.listens_for(engine, "reset")
        def resetting(native: Any, *_: Any) -> None:
            if native is not None:
                self.limit(native, time.monotonic() + self.options.timeout_s)

        @event.listens_for(engine, "rollback")
        def undoing(connection: Connection) -> None:
            if not connection.invalidated:
                native = connection.connection.dbapi_connection
                self.limit(native, time.monotonic() + self.options.timeout_s)

    def _translate_errors(self, engine: Engine, read_only: bool) -> None:
        @event.listens_for(engine, "handle_error")
        def translate(context: ExceptionContext) -> BaseException | None:
            if isinstance(context.original_exception, CapaError):
                return context.original_exception
            error = context.sqlalchemy_exception
            if not isinstance(error, exc.DBAPIError) or error.orig is None:
                return None
            if self.is_overdue(error.orig):  # others' connections are as good as before
                context.invalidate_pool_on_disconnect = False
            used = context.connection
            if used is not None and not used.closed and not used.invalidated:
                native = used.connection.dbapi_connection
                self.executed(native)
                if not read_only and self.is_elsewhere(error.orig, native):
                    # The next connection is opened where writes are accepted.
                    context.is_disconnect = error.connection_invalidated = True
            named = self.named_natively(error.orig) or usual_name(error)
            return translated(error, *self._explained(error.orig, named, context.connection, read_only))

    def _explained(
        self, native: BaseException, named: type[CapaError], connection: Connection | None, read_only: bool
    ) -> tuple[type[CapaError], str]:
        """Return Capa's type for the *native* error, *named* unless the engine decides, and the message."""
        reason = next(iter(str(native).splitlines()), type(native).__name__).rstrip(".")
        if self.is_overdue(native) and connection is not None:
            given_s = connection.info.get(_GIVEN, self.options.statement_s)
            return DeadlineError, (
                f"{self.gate.component}: a statement did not end within {given_s:g} s, or within its caller's time"
                f" ({reason}). Its transaction is undone; give it a longer `deadline`, or raise `statement_s`."
            )
        if read_only and self.is_refused_write(native):
            return PermissionDeniedError, (
                f"{self.gate.component}: a transaction that only reads was to write; nothing was done ({reason})."
                " Begin it without `read_only`, or use `engine`."
            )
        doing = "connecting" if connection is None else "a statement"
        message = f"{self.gate.component} ({self.place_of(read_only=read_only)}): {doing} failed: {reason}."
        return named, f"{message} {_NEXT_STEP}" if issubclass(named, _OF_SETTINGS) else message

    def named_natively(self, error: BaseException) -> type[CapaError] | None:
        """Return Capa's type for the native *error* by its code; `None` if its standard type decides."""
        del error
        return None

    def place_of(self, *, read_only: bool) -> str:
        """Return the address of the engine, without credentials."""
        del read_only
        return self.address()

    def _status(self, read_only: bool, engine: Engine) -> PoolStatus:
        pool = cast("WatchedPool", engine.pool)
        return PoolStatus(
            read_only=read_only,
            address=self.place_of(read_only=read_only),
            size=pool.size(),
            overflow=max(0, pool.overflow()),
            in_use=pool.checkedout(),
            idle=pool.checkedin(),
            waiting=self.gate.waiting[read_only],
        )
