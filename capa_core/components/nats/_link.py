"""The connection of a component: opened when it is first needed, and again when it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from capa_core.components.nats._connection import Client, Connection
from capa_core.components.nats._errors import RefusedError
from capa_core.components.nats._settings import NatsSettings
from capa_core.errors import ClosedError, SettingsError

T = TypeVar("T")
_of_parents: list[object] = []
"""Connections that a fork copied into this process. One that is collected here would close a part of the parent's."""


class Link:
    """Gives the connection to those who need it."""

    def __init__(self, settings: NatsSettings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._open: Connection | None = None
        self._closed = False

    @property
    def prefix(self) -> str:
        """The prefix of the subjects of JetStream's requests."""
        domain = self._settings.domain
        return f"$JS.{domain}.API" if domain else "$JS.API"

    def connection(self) -> Connection:
        """Return the open connection.

        Raises:
            RefusedError: No server answers, one refuses the credentials, or it is too old.
        """
        connection = self._open
        if connection is not None and connection.lost is None:
            return connection
        with self._opening:
            return self._opened()

    def call(self, work: Callable[[Connection], Coroutine[Any, Any, T]], wait_s: float = 0.0) -> T:
        """Return what *work* returns, run in the connection's thread; see `Connection.call`."""
        connection = self.connection()
        return connection.call(lambda: work(connection), wait_s)

    def exchange(self, send: Callable[[Connection, Future[T]], Coroutine[Any, Any, None]]) -> T:
        """Return the answer to what *send* has sent, in the connection's thread; see `Connection.exchange`."""
        connection = self.connection()
        return connection.exchange(lambda answer: send(connection, answer))

    def api(self, asked: str, /, **arguments: Any) -> dict[str, Any]:
        """Return the answer of JetStream to a request; *asked* is what comes after the prefix of its subjects."""
        return self.call(lambda connection: connection.api(f"{self.prefix}.{asked}", **arguments))

    def client(self) -> Client:
        """Return the client of the open connection."""
        return self.connection().client

    def close(self) -> None:
        """Close the connection; none is opened any more."""
        with self._opening:
            self._closed = True
            connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def abandon(self) -> None:
        """Leave the connection to the parent of this process, which was forked with a copy of it."""
        _of_parents.append(self._open)

    def _opened(self) -> Connection:
        if self._closed:
            raise ClosedError("the component is closed")
        if self._open is None or self._open.lost is not None:
            settings = self._settings
            connection = Connection(
                settings.servers, self._options(), settings.timeout_s, settings.heartbeat_s
            )
            connection.open()
            self._open = connection
        return self._open

    def _options(self) -> dict[str, Any]:
        try:
            return self._settings.options()
        except OSError as error:
            raise RefusedError(
                SettingsError,
                f"the files of `credentials_file`, `tls_ca_file`, `tls_cert_file` or `tls_key_file`: {error}",
            ) from error
