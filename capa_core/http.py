"""HTTP for components: kept-alive connections to one address, and one deadline for all waits of a call.

On the standard library's client: docs/decisions/http-client.md.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - otherwise the first connection imports it, possibly during a fork
import math
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import (
    BadStatusLine,
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    IncompleteRead,
    RemoteDisconnected,
)
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, urlsplit

from capa_core.errors import CapaError, DeadlineError, SettingsError, UnavailableError
from capa_core.forks import computed_once
from capa_core.secret import without_credentials

T = TypeVar("T")

CHUNK = 65_536


class NotSentError(OSError):
    """The request did not reach the service."""


class TooLargeError(OSError):
    """The answer is larger than the caller accepts; the rest was not read."""


ERROR_TYPES: dict[type[BaseException], type[CapaError]] = {
    NotSentError: UnavailableError,
    TimeoutError: DeadlineError,
    HTTPException: UnavailableError,
    OSError: UnavailableError,
}
"""The `error_types` of a driver that speaks HTTP."""


class Request(Protocol):
    """One request. *path* begins with `/`, has the query, and is percent-encoded."""

    @property
    def verb(self) -> str:
        """The HTTP method in upper case."""

    @property
    def path(self) -> str:
        """See the class."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """In order; names may be repeated."""

    @property
    def body(self) -> bytes:
        """The whole body."""


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A `Request` of given parts."""

    verb: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read to its end."""

    status: int
    kind: str
    """The media type, without parameters and in lower case."""
    body: bytes


class _PlainSocket(socket.socket):
    """A socket with one deadline for all waits, so that a peer that trickles data cannot prolong a call.

    Attributes:
        end: The deadline (monotonic).
        idle_s: The longest single wait.
    """

    end: float = math.inf
    idle_s: float = math.inf

    def recv_into(self, *args: Any) -> int:
        _limit(self)
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        _limit(self)
        super().sendall(*args)


class _TlsSocket(ssl.SSLSocket):
    """The same as `_PlainSocket` over TLS."""

    end: float = math.inf
    idle_s: float = math.inf
    early: bytes = b""
    """The begin of an answer, which `has_begun` had to read."""

    def recv_into(self, buffer: Any, *args: Any) -> int:
        if self.early:
            count = min(len(buffer), len(self.early))
            buffer[:count], self.early = self.early[:count], self.early[count:]
            return count
        _limit(self)
        return super().recv_into(buffer, *args)

    def has_begun(self) -> bool:
        """Return whether the readable socket holds a part of an answer, and not only messages of TLS itself."""
        self.settimeout(0)
        try:
            self.early += self.recv(CHUNK)
        except ssl.SSLWantReadError:
            return False
        return True

    def sendall(self, *args: Any) -> None:
        _limit(self)
        super().sendall(*args)


def _limit(waiting: _PlainSocket | _TlsSocket) -> None:
    left_s = waiting.end - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the deadline passed before the whole response had arrived")
    wait_s = min(left_s, waiting.idle_s)
    waiting.settimeout(None if wait_s == math.inf else wait_s)


class _Lines:
    """A stream, for as long as the lines before a body are read from it, with the last of them."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.last = b""

    def readline(self, limit: int) -> bytes:
        self.last = self.stream.readline(limit)
        return self.last

    def close(self) -> None:
        self.stream.close()


class _Response(HTTPResponse):
    """A response that is refused if the connection ends within its headers.

    The standard library takes those that came for all of them, and so an answer of any length for an empty one.
    """

    fp: Any

    def begin(self) -> None:
        lines = self.fp = _Lines(self.fp)
        try:
            super().begin()
        finally:
            if self.fp is lines:  # else it is closed
                self.fp = lines.stream
        if not lines.last:
            raise IncompleteRead(b"")


class Connection(HTTPConnection):
    """One connection; `end` bounds all operations on it until it is set again.

    Attributes:
        has_answered: Whether a response has begun on it.
    """

    response_class = _Response
    sock: Any
    has_answered = False

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        self._context = context

    def open(self, end: float) -> None:
        """Connect.

        Raises:
            NotSentError: The name does not resolve, or no peer accepts the connection before *end*.
        """
        try:
            plain = socket.create_connection((self.host, self.port), max(0.001, end - time.monotonic()))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            limited = _PlainSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
            limited.settimeout(max(0.001, end - time.monotonic()))
            self.sock = self._encrypted(limited, self._context) if self._context else limited
        except NotSentError:
            raise
        except socket.gaierror as error:
            raise NotSentError(
                f"no host is named {self.host!r} ({error.strerror}): correct its address in capa.toml"
            ) from error
        except OSError as error:
            self.close()
            raise NotSentError(f"cannot connect to {self.host}:{self.port}: {error}") from error

    def _encrypted(self, plain: _PlainSocket, context: ssl.SSLContext) -> ssl.SSLSocket:
        try:
            return context.wrap_socket(plain, server_hostname=self.host)
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            plain.close()
            raise NotSentError(
                f"no handshake of TLS with {self.host}:{self.port}: {error}. The server may have no TLS there: correct"
                " the port; or, where the network is trusted, write http://"
            ) from error

    def getresponse(self) -> HTTPResponse:
        """See `http.client.HTTPConnection.getresponse`."""
        response = super().getresponse()
        self.has_answered = True
        return response

    def dropped(self) -> bool:
        """Return whether the peer has closed the idle connection or sent unrequested data."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def has_begun(self) -> bool:
        """Return whether the answer to the request has begun, where the socket is readable; its end counts too."""
        return not isinstance(self.sock, _TlsSocket) or self.sock.has_begun()


class Endpoint:
    """One address with its idle connections. Safe for many threads.

    Raises:
        SettingsError: The address is not an HTTP address.

    Attributes:
        url: Safe to show: without credentials, which are refused.
        prefix: The path of the address, which precedes that of each request; `""` for none.
        ejected_until: The time (monotonic) until which it is left out while other addresses answer.
    """

    def __init__(self, url: str, *, verify: bool | str, size: int) -> None:
        self.url = without_credentials(url)
        parts = _parts(url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.ejected_until = 0.0
        self._netloc = parts.netloc.rpartition("@")[2]
        self.prefix = parts.path.rstrip("/")
        self._tls = parts.scheme == "https"
        self._verify = verify
        self._size = size
        self._idle: deque[Connection] = deque()
        self._closed = False

    @computed_once
    def _context(self) -> ssl.SSLContext | None:
        if not self._tls:
            return None
        context = ssl.create_default_context(cafile=self._verify if isinstance(self._verify, str) else None)
        if self._verify is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.sslsocket_class = _TlsSocket
        return context

    @property
    def idle(self) -> int:
        """The number of open connections that are not in use."""
        return len(self._idle)

    def check(self, timeout_s: float) -> None:
        """Check that the address accepts a connection; it is closed again.

        Raises:
            NotSentError: As `Connection.open`.
        """
        connection = Connection(self.host, self.port, self._context)
        connection.open(time.monotonic() + timeout_s)
        connection.close()

    def exchange(self, request: Request, end: float, *, most_bytes: int) -> Answer:
        """Send *request* and return the response, complete before *end*.

        Raises:
            NotSentError: No connection could be opened.
            TooLargeError: The body has more than *most_bytes*.
            TimeoutError: *end* passed first.
            OSError: The connection broke, or the response is malformed or ends early.
        """
        return self.answered(self.send(request, end), most_bytes=most_bytes)

    def answered(self, connection: Connection, *, most_bytes: int) -> Answer:
        """Return the response to the request that was sent on *connection*; raises as `exchange` does."""
        try:
            response = connection.getresponse()
            body = self._whole(self.body(connection, response), most_bytes)
        except TooLargeError:
            connection.close()
            raise
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._with_address(error, connection) from error
        except BaseException:
            connection.close()
            raise
        return Answer(response.status, response.headers.get_content_type(), body)

    def _with_address(self, error: OSError | HTTPException, connection: Connection) -> OSError:
        if isinstance(error, TimeoutError):
            return TimeoutError(f"no complete answer from {self.url} in time")
        kind = ConnectionResetError if isinstance(error, ConnectionResetError) else OSError
        is_strange = not connection.has_answered and not self._tls
        step = ", before any answer. Where the port takes TLS alone, write https://" if is_strange else ""
        return kind(f"{self.url}: {_said(error)}{step}")

    def _whole(self, pieces: Iterator[bytes], most_bytes: int) -> bytes:
        read = bytearray()
        for piece in pieces:
            read += piece
            if len(read) > most_bytes:
                raise TooLargeError(f"{self.url} answered with more than {most_bytes:,} bytes")
        return bytes(read)

    def body(self, connection: Connection, response: HTTPResponse) -> Iterator[bytes]:
        """Return the body as it arrives; at its end the connection is kept, and closed if this is closed before."""
        pieces = self._pieces(connection, response)
        next(pieces)  # `close` of a generator that has not begun would leave the connection open
        return pieces

    def _pieces(self, connection: Connection, response: HTTPResponse) -> Iterator[bytes]:
        keep = False
        try:
            yield b""
            while piece := response.read1(CHUNK):
                yield piece
            if response.length:
                raise IncompleteRead(b"", response.length)
            keep = not response.will_close
        finally:
            response.close()
            if keep:
                self.give_back(connection)
            else:
                connection.close()

    def send(self, request: Request, end: float) -> Connection:
        """Send *request* on an idle connection or a new one, and return it with the response to come.

        Raises:
            NotSentError: No connection could be opened.
            OSError: The connection broke while sending; the service may have seen the request.
        """
        connection = self._connected(end)
        connection.sock.end, connection.sock.idle_s = end, math.inf
        try:
            connection.putrequest(
                request.verb, self.prefix + request.path, skip_host=True, skip_accept_encoding=True
            )
            self._put_headers(connection, request)
            connection.endheaders(request.body or None)
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._with_address(error, connection) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _put_headers(self, connection: Connection, request: Request) -> None:
        given = {name.lower() for name, _ in request.headers}
        if "host" not in given:
            connection.putheader("Host", self._netloc)
        for name, value in request.headers:
            connection.putheader(name, value)
        wants_length = request.body or request.verb in ("POST", "PUT", "PATCH")
        if wants_length and not given & {"content-length", "transfer-encoding"}:
            connection.putheader("Content-Length", str(len(request.body)))

    def _connected(self, end: float) -> Connection:
        while (idle := self._take()) is not None:
            if not idle.dropped():
                return idle
            idle.close()
        connection = Connection(self.host, self.port, self._context)
        connection.open(end)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Return *connection* to the pool, after its response was read to the end."""
        if len(self._idle) >= self._size:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:  # while the call was under way
            self._close_idle()

    def close(self) -> None:
        """Close the idle connections now, and those in use when they are returned."""
        self._closed = True
        self._close_idle()

    def forget(self) -> None:
        """Close this child's copies of the parent's sockets; the parent's stay open."""
        # Closing a copy sends nothing for plain TCP; for TLS http.client does not send a close_notify either.
        self._close_idle()

    def _take(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _close_idle(self) -> None:
        while (idle := self._take()) is not None:
            idle.close()


def _said(error: OSError | HTTPException) -> str:
    """Return the text of *error*; of a peer that speaks another protocol its first bytes, readable."""
    if isinstance(error, BadStatusLine) and not isinstance(error, RemoteDisconnected):
        return f"no answer in HTTP/1.1 but {error.args[0][:40]!r}"
    return str(error)


def first_reached(endpoints: Sequence[Endpoint], call: Callable[[Endpoint], T]) -> tuple[int, T]:
    """Return the place of the first of *endpoints* that can be reached, and what *call* returns for it.

    Raises:
        NotSentError: None can be reached; it is the error of the last one. There is at least one.
    """
    for at, endpoint in enumerate(endpoints[:-1]):
        try:
            return at, call(endpoint)
        except NotSentError:
            continue
    return len(endpoints) - 1, call(endpoints[-1])


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, or a missing bracket
        fits = False
    if not fits:
        raise SettingsError(
            f"{without_credentials(url)!r} is not an HTTP address. Write http://host:port or https://host."
        )
    if parts.username is not None:
        raise SettingsError(
            f"the address {without_credentials(url)!r} has a user name, which would not be sent. Remove it,"
            " and give each call an Authorization header."
        )
    return parts
