"""The pool of an engine: it tells why no connection is free, closes for good, and forgets those of a parent process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from weakref import ref

from sqlalchemy import Engine, QueuePool, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from capa_core.blocks.database.over_sqlalchemy._errors import NoConnectionFreeError
from capa_core.call.deadline import remaining_s
from capa_core.errors import ClosedError, UnavailableError

_kept: list[Any] = []
"""Connections of parent processes: to free one would speak to the parent's server, or drop its locks."""


class Gate:
    """The connections that a component has open, and whether it may open more. Safe for many threads."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.closed = False
        self.begin()

    def begin(self) -> None:
        """Begin without connections and callers, also in a forked child."""
        self._counting = threading.Lock()
        self.waiting: dict[bool, int] = {True: 0, False: 0}
        self._open: dict[int, ref[Any]] = {}
        self._in_use: dict[int, tuple[ConnectionPoolEntry, ref[Any], int]] = {}

    @contextmanager
    def one_waits(self, read_only: bool) -> Iterator[None]:
        """Count the caller among those that wait for a connection."""
        with self._counting:
            self.waiting[read_only] += 1
        try:
            yield
        finally:
            with self._counting:
                self.waiting[read_only] -= 1

    def check_open(self) -> None:
        """Check that the component was not closed.

        Raises:
            ClosedError: It was.
        """
        if self.closed:
            raise ClosedError(
                f"{self.component} is closed; nothing was done. Open it again through a runtime."
            )

    def opened(self, connection: Any) -> None:
        """Follow the native *connection* until `ended`, or until nothing refers to it: it must not live by this."""
        key = id(connection)
        self._open[key] = ref(connection, lambda _: self._open.pop(key, None))

    def ended(self, connection: Any) -> None:
        """Follow the native *connection* no longer: it is closed, not only about to be."""
        self._open.pop(id(connection), None)

    def has_open(self) -> bool:
        """Return whether connections are open."""
        return bool(self._open)

    def open_of_others(self) -> bool:
        """Return whether connections are open that this thread does not use itself."""
        mine = {
            id(entry.dbapi_connection)
            for entry, _, thread in list(self._in_use.values())
            if thread == threading.get_ident()
        }
        return not mine >= set(self._open)

    def watch(self, engine: Engine) -> None:
        """Follow from now on who uses the connections of *engine*."""

        @event.listens_for(engine, "checkout")
        def taken(_: Any, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
            self._in_use[id(entry)] = entry, ref(proxy), threading.get_ident()

        @event.listens_for(engine, "checkin")
        def given_back(_: Any, entry: ConnectionPoolEntry) -> None:
            self._in_use.pop(id(entry), None)

    def forget(self) -> None:
        """Leave all connections to the parent process, also those that this thread uses in a transaction."""
        inherited = Inherited(self.component)
        for entry, proxy, _ in self._in_use.values():
            held: Any = proxy()
            for one in filter(None, (entry, held)):
                _kept.append(one.dbapi_connection)
                one.dbapi_connection = inherited
        _kept.extend(one() for one in list(self._open.values()))
        self.begin()


class Inherited:
    """The stand-in for a connection that a fork copied: it is the parent's, and any use of it is an error."""

    def __init__(self, component: str) -> None:
        self._component = component

    def __getattr__(self, name: str) -> NoReturn:
        raise UnavailableError(
            f"{self._component}: this transaction was begun before a fork, by the parent process. Nothing was done;"
            " begin one in the child."
        )

    def rollback(self) -> None:
        """Do nothing: the parent ends its transaction."""

    def close(self) -> None:
        """Do nothing: the parent closes its connection."""


class WatchedPool(QueuePool):
    """A pool whose callers wait no longer than they may, and learn why; `of` makes it for a component."""

    gate: Gate
    read_only: bool
    timeout_s: float
    _disposed = False

    @classmethod
    def of(cls, gate: Gate, *, read_only: bool, timeout_s: float) -> type[WatchedPool]:
        """Return the type of the pool of one engine: SQLAlchemy itself makes the pools, anew after a fork."""
        return type(cls.__name__, (cls,), {"gate": gate, "read_only": read_only, "timeout_s": timeout_s})

    @property
    def _timeout(self) -> float:
        return remaining_s(self.timeout_s)

    @_timeout.setter
    def _timeout(self, value: float) -> None:
        """Leave it: `timeout_s` of the settings holds."""

    def connect(self) -> PoolProxiedConnection:
        """See `Pool.connect`.

        Raises:
            ClosedError: The component was closed.
            NoConnectionFreeError: All connections were in use.
        """
        self.gate.check_open()
        limit_s = self._timeout
        try:
            with self.gate.one_waits(self.read_only):
                return super().connect()
        except exc.TimeoutError as error:
            most = self.size() + self._max_overflow
            raise NoConnectionFreeError(
                f"{self.gate.component}: all {most} connections were in use for {limit_s:g} s; nothing was done. End"
                " transactions sooner, or raise `pool_size` and `max_overflow` in capa.toml, as far as the server"
                " has connections."
            ) from error

    def dispose(self) -> None:
        """See `Pool.dispose`: connections in use are closed when they are given back."""
        self._disposed = True
        super().dispose()

    def _close_connection(self, connection: Any, *, terminate: bool = False) -> None:
        # Not by the event "close": it comes before the end, and not where an event of connecting has failed.
        try:
            super()._close_connection(connection, terminate=terminate)
        finally:
            self.gate.ended(connection)

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._disposed:  # nobody else would close it
            super().dispose()
