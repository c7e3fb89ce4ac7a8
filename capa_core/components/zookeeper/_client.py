"""The connection of a component: one session, made by the first call, with a deadline for each call."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, unquote

from kazoo.client import KazooClient, TransactionRequest
from kazoo.exceptions import ConnectionClosedError, ConnectionDropped, KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.connection import ConnectionHandler
from kazoo.protocol.states import KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import make_digest_acl

from capa_core.components.zookeeper._settings import ZookeeperSettings
from capa_core.forks import renew_locks_after_fork

# kazoo tells each lost connection on its own; the errors of calls tell it here.
logging.getLogger("kazoo.client").addFilter(lambda record: record.levelno >= logging.ERROR)


class _Connection(ConnectionHandler):  # type: ignore[misc]  # kazoo has no types
    """A connection that begins again after an answer that belongs to no request, in the same session."""

    def _read_socket(self, read_timeout: float) -> Any:
        try:
            return super()._read_socket(read_timeout)
        except RuntimeError as error:  # kazoo's thread would end, and with it the session
            raise ConnectionDropped(str(error)) from error


class _Client(KazooClient):  # type: ignore[misc]
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._connection = _Connection(self, self._conn_retry.copy(), logger=self.logger)


class Session:
    """A session with the ensemble. Safe for many threads. After a fork the child makes one of its own."""

    def __init__(self, settings: ZookeeperSettings) -> None:
        self._settings = settings
        self._client: KazooClient | None = None
        self._closed = False
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """Make the lock."""
        self._lock = threading.Lock()

    @property
    def client(self) -> KazooClient:
        """The connected client.

        Raises:
            KazooTimeoutError: No server of the ensemble accepts the connection in time.
        """
        client = self._client
        return client if client is not None and not _has_ended(client) else self._open()

    def call(self, begin: Callable[[KazooClient], Any], limit_s: float = float("inf")) -> Any:
        """Return the result of the asynchronous call that *begin* makes, within `timeout_s` and *limit_s*.

        Raises:
            KazooException: The ensemble refuses, or the connection is lost.
            KazooTimeoutError: There was no answer in time. The call may have been done.
        """
        end = time.monotonic() + min(self._settings.timeout_s, limit_s)
        return begin(self.client).get(timeout=max(0.001, end - time.monotonic()))

    def call_each(self, begins: Sequence[Callable[[KazooClient], Any]]) -> list[Any]:
        """Return the results of several calls, sent without waiting in between, or the error of each."""
        client, end = self.client, time.monotonic() + self._settings.timeout_s
        under_way = [begin(client) for begin in begins]
        return [_result(one, end) for one in under_way]

    def transact(self, fill: Callable[[TransactionRequest], object]) -> list[Any]:
        """Carry out all that *fill* puts into a transaction, or none; return the result of each, or its error."""

        def begin(client: KazooClient) -> Any:
            transaction = client.transaction()
            fill(transaction)
            return transaction.commit_async()

        results: list[Any] = self.call(begin)
        return results

    def make(self, path: str) -> None:
        """Make a node, and those above it, if they are not there."""
        self.call(lambda client: client.ensure_path_async(path))

    def close(self) -> None:
        """End the session."""
        with self._lock:
            client, self._client, self._closed = self._client, None, True
        if client is not None:
            _end(client)

    def forget(self) -> None:
        """Leave the session to the parent: an end would be one for the parent too."""
        self._client = None

    def _open(self) -> KazooClient:
        with self._lock:
            if self._closed:
                raise ConnectionClosedError("the component is closed")
            if self._client is not None and _has_ended(self._client):
                _end(self._client)
                self._client = None
            if self._client is None:
                self._client = self._connected()
            return self._client

    def _connected(self) -> KazooClient:
        settings = self._settings
        credentials = f"{settings.user}:{settings.password.reveal()}"
        client = _Client(
            hosts=settings.hosts,
            timeout=settings.session_s,
            auth_data=[("digest", credentials)] if settings.user else None,
            default_acl=[make_digest_acl(settings.user, settings.password.reveal(), all=True)]
            if settings.user
            else None,
            use_ssl=settings.tls,
            ca=settings.ca or None,
            certfile=settings.certificate or None,
            keyfile=settings.key or None,
            connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=2, max_delay=1.0),
        )
        try:
            client.start(timeout=settings.timeout_s)
        except (KazooException, KazooTimeoutError) as error:
            _end(client)
            raise KazooTimeoutError(
                f"no ZooKeeper at {settings.hosts} accepted a connection within {settings.timeout_s:g} s. Check that it"
                f" runs, `hosts`, and `tls`, which is {'on' if settings.tls else 'off'}"
            ) from error
        return client


def _has_ended(client: KazooClient) -> bool:
    """Return whether the thread of a client that was started is gone: after an error that kazoo does not foresee."""
    return bool(client.client_state == KeeperState.CLOSED)


def _end(client: KazooClient) -> None:
    client.stop()
    client.close()


def name_of(key: str) -> str:
    """Return the name of the node of *key*: any text, but for `/` and the names that ZooKeeper refuses."""
    return f"k{quote(key, safe='')}"


def key_of(name: str) -> str | None:
    """Return the key of the node *name*; `None` for a node of another program."""
    key = unquote(name[1:], errors="replace")
    return key if name == name_of(key) else None


def _result(under_way: Any, end: float) -> Any:
    try:
        return under_way.get(timeout=max(0.001, end - time.monotonic()))
    except KazooException as error:
        return error
