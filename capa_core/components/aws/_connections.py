"""Connections of botocore that keep to the deadline of the whole call: see `_deadline`."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from capa_core.components.aws._deadline import CALL, MOVED_BYTES, limit, note


def bound(client: Any) -> Any:
    """Let the requests of botocore's *client*, which has made none yet, keep to the `Limit` of their thread."""
    # botocore has no public way to other connections; its session shares this table with all pools that it makes.
    client._endpoint.http_session._pool_classes_by_scheme.update(http=_HttpPool, https=_HttpsPool)
    return client


class _Receiving(socket.socket):
    """A socket that receives until the call of its thread ends."""

    def recv_into(self, *args: Any) -> int:
        limit(self)
        count = super().recv_into(*args)
        if CALL.renewed_s:
            note(count)
        return count


class _Socket(_Receiving):
    """A socket whose operations end with the call of their thread."""

    def sendall(self, data: Any, *flags: Any) -> None:
        for part in _parts(data):
            limit(self)
            super().sendall(part, *flags)
            if CALL.renewed_s:
                note(len(part))


class _TlsSocket(_Receiving, ssl.SSLSocket):
    """The same over TLS, whose `sendall` sends record by record."""

    def send(self, *args: Any) -> int:
        limit(self)
        count = super().send(*args)
        if CALL.renewed_s:
            note(count)
        return count


def _parts(data: Any) -> list[Any]:
    if len(data) <= MOVED_BYTES:
        return [data]
    whole = memoryview(data)
    return [whole[begin : begin + MOVED_BYTES] for begin in range(0, len(whole), MOVED_BYTES)]


class _Bounded:
    """A connection of urllib3 that keeps to the deadline, also while it connects."""

    port: int
    timeout: float | None
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        """Connect to one address after the other; urllib3 would give its timeout to each of them."""
        name = self._dns_host
        *others, last = _addresses(name, self.port)
        try:
            for address in others:
                with suppress(ConnectTimeoutError, NewConnectionError):
                    return self._connected(address)
            return self._connected(last)
        finally:
            self._dns_host = name

    def _connected(self, address: str) -> socket.socket:
        self._dns_host = address
        if (left_s := CALL.left_s()) is not None:
            self.timeout = left_s
        plain: socket.socket = super()._new_conn()  # type: ignore[misc]
        timeout_s = plain.gettimeout()
        made = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        made.settimeout(timeout_s)
        limit(made)  # the handshake of TLS as a whole has the timeout that it finds
        return made


def _addresses(name: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return [name]  # urllib3 says what is wrong
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class _HttpConnection(_Bounded, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _HttpsConnection(_Bounded, AWSHTTPSConnection):  # type: ignore[misc]
    ssl_context: ssl.SSLContext | None

    def connect(self) -> None:
        if self.ssl_context is not None:
            self.ssl_context.sslsocket_class = _TlsSocket  # botocore makes one for each client
        super().connect()


class _HttpPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _HttpConnection


class _HttpsPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _HttpsConnection
