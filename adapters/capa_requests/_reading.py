"""Responses read off the wire as `http.client` does, without an e-mail parser.

`http.client` hands the headers to the parser of the `email` package, which takes longer than the kernel takes
for the whole exchange. Header blocks of plain `Name: value` lines are parsed here; any other block (folded
lines, stray carriage returns, lines without a colon) goes through `http.client.parse_headers` as ever.
"""

from __future__ import annotations

import http.client
import io
import re
from socket import socket
from time import monotonic
from types import EllipsisType
from typing import TYPE_CHECKING, Any, cast

from capa_requests import _deadline

#: For names of `http.client` that its stubs leave out.
_limits: Any = http.client

_LINE = r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)\r\n"
_PLAIN_LINE = re.compile(_LINE)
_PLAIN_LINES = re.compile(rf"(?:{_LINE})*")

#: The end of a block whose last line is not there: `find` says -1, and the line has four bytes.
_NOT_FOUND = 3

#: The share of a wait by which the timeout of a socket may differ from it: setting it is a system call.
_SLACK = 0.01


def arm(sock: socket, seconds: float | None) -> None:
    """Let each operation on *sock* wait for *seconds*, to the hundredth part; `None` waits without limit."""
    present = _timeout_of(sock)
    if present is None or seconds is None or abs(present - seconds) > seconds * _SLACK:
        sock.settimeout(seconds)


def _timeout_of(sock: socket) -> float | None:
    """Return the timeout of *sock*; `None` also for one that does not say it, as urllib3's over pyOpenSSL."""
    read = getattr(sock, "gettimeout", None)
    return None if read is None else read()


class DeadlineReader(io.RawIOBase):
    """A socket's raw reader that gives each read only the time that is left."""

    def __init__(self, sock: socket, ends_at: float, idle_s: float | None) -> None:
        """Read from *sock* until the moment *ends_at*, each time for *idle_s* at most."""
        # By position: fake sockets of tests have another name for it.
        self._raw = sock.makefile("rb", 0)
        self._socket = sock
        self._ends_at: float | None = ends_at
        self._idle_s = idle_s
        #: The pool of the connection, once the body is read: urllib3 drops the message of any other timeout there.
        self.pool: Any = None

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read the bytes received into *buffer*.

        Raises:
            TimeoutError: The moment has come, or no byte has for too long.
            urllib3.exceptions.ReadTimeoutError: The moment has come in the body.
        """
        try:
            if self._ends_at is not None:
                arm(self._socket, _deadline.at_most(self._idle_s, _deadline.left_s(self._ends_at)))
            return self._raw.readinto(buffer)
        except TimeoutError as error:
            if self.pool is None or self._ends_at is None or monotonic() < self._ends_at:
                raise
            raise _deadline.read_timeout(self.pool) from error

    def wait_at_most(self, seconds: float | None, ends_at: float | None) -> None:
        """From now on let each read wait for *seconds*, for as many reads as it takes until the moment *ends_at*."""
        self._idle_s, self._ends_at = seconds, ends_at
        self._socket.settimeout(seconds)

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close the reader, not the connection."""
        self._raw.close()
        super().close()


if TYPE_CHECKING:

    class _HTTPResponse(http.client.HTTPResponse):
        """With the names that the stubs leave out."""

        _method: str | None

        def _read_status(self) -> tuple[str, int, str]: ...
        def _check_close(self) -> bool: ...

else:
    _HTTPResponse = http.client.HTTPResponse


class _Makefile:
    """The part of a socket that `http.client.HTTPResponse` uses."""

    def __init__(self, reader: DeadlineReader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)


class WireResponse(_HTTPResponse):
    """An `http.client.HTTPResponse` that reads its head itself, within the deadline of the call in progress."""

    def __init__(
        self,
        sock: socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        idle_s: float | EllipsisType | None = ...,
    ) -> None:
        """Prepare to read the answer to a request with *method* from *sock*.

        Args:
            idle_s: Seconds for each read, if the call in progress has a deadline; left out, the timeout of *sock*.
        """
        #: The headers, if each was one line of a name, a colon and a value.
        self.plain_headers: list[tuple[str, str]] | None = None
        ends_at = _deadline.ends_at()
        source: Any = sock
        if ends_at is not None:
            idle = _timeout_of(sock) if isinstance(idle_s, EllipsisType) else idle_s
            source = _Makefile(DeadlineReader(sock, ends_at, idle))
        super().__init__(source, debuglevel, method, url)

    def begin(self) -> None:
        """Read the status and the headers.

        Raises:
            http.client.HTTPException: The bytes received are not HTTP.
            OSError: The connection broke or timed out.
        """
        begun: Any = self.headers
        if begun is not None:
            return
        if self.debuglevel > 0:  # prints the bytes it reads
            super().begin()
            return
        version, status, reason = self._read_status()
        while status == http.HTTPStatus.CONTINUE:
            self._read_headers()
            version, status, reason = self._read_status()
        self.code = self.status = status
        self.reason = reason.strip()
        if not version.startswith(("HTTP/1.", "HTTP/0.9")):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version in {"HTTP/1.0", "HTTP/0.9"} else 11
        self.headers = self.msg = self._read_headers()
        self._set_framing()

    def _read_headers(self) -> http.client.HTTPMessage:
        block = self._buffered_block()
        if block is None:
            block = b"".join(self._header_lines())
        text = block.decode("iso-8859-1")
        lines = text[:-2]
        if not text.endswith("\r\n") or _PLAIN_LINES.fullmatch(lines) is None:
            return http.client.parse_headers(io.BytesIO(block))
        message: Any = http.client.HTTPMessage()
        self.plain_headers = _PLAIN_LINE.findall(lines)
        for name, value in self.plain_headers:
            message.set_raw(name, value)
        message.set_payload("")
        return cast("http.client.HTTPMessage", message)

    def _buffered_block(self) -> bytes | None:
        """Read the rest of the head at once, if it has arrived; else, and if it is over a limit, leave it unread."""
        fp: Any = self.fp
        if type(fp) is not io.BufferedReader:
            return None
        buffered = fp.peek()
        end = 2 if buffered.startswith(b"\r\n") else buffered.find(b"\r\n\r\n") + 4
        if end == _NOT_FOUND or end > _limits._MAXLINE:
            return None
        if buffered.count(b"\n", 0, end) > _limits._MAXHEADERS:
            return None
        block: bytes = fp.read(end)
        return block

    def _header_lines(self) -> list[bytes]:
        """Read lines up to the one that ends the head, or the end of the stream."""
        # Read for each response: applications raise these two limits (HTTPie has an option for it).
        longest, most = _limits._MAXLINE, _limits._MAXHEADERS
        lines: list[bytes] = []
        while True:
            line = self.fp.readline(longest + 1)
            if len(line) > longest:
                raise http.client.LineTooLong("header line")
            lines.append(line)
            if len(lines) > most:
                raise http.client.HTTPException(f"got more than {most} headers")
            if line in {b"\r\n", b"\n", b""}:
                return lines

    def _first_of_each(self) -> Any:
        """Return the first header of each name: a mapping from names in lower case."""
        if self.plain_headers is None:
            return self.headers
        return {name.lower(): value for name, value in reversed(self.plain_headers)}

    def _set_framing(self) -> None:
        fields = self._first_of_each()
        encoding = fields.get("transfer-encoding")
        self.chunked = bool(encoding and encoding.lower() == "chunked")
        if self.chunked:
            self.chunk_left = None
        connection = fields.get("connection")
        # As the original's, whose other cases are for the versions before 1.1.
        closes = (
            bool(connection and "close" in connection.lower()) if self.version == 11 else self._check_close()
        )
        self.will_close = closes
        self.length = None if self.chunked else _length(fields.get("content-length"))
        bodyless = self.status in {204, 304} or 100 <= self.status < 200 or self._method == "HEAD"
        if bodyless:
            self.length = 0
        if not self.chunked and self.length is None:
            self.will_close = True


def _length(value: str | None) -> int | None:
    if not value:
        return None
    try:
        length = int(value)
    except ValueError:
        return None
    return length if length >= 0 else None


def begin_body(body: Any, pool: Any) -> None:
    """Let a timeout of *body*, whose head has been read, name the host of *pool* and the setting that applied."""
    reader = _reader(body)
    if reader is not None:
        reader.pool = pool


def unbind(body: Any, idle_s: float | None, ends_at: float | None) -> None:
    """Let *body* be read beyond the deadline, until *ends_at*, each read waiting up to *idle_s*; `None` is no limit."""
    reader = _reader(body)
    if reader is not None:
        reader.wait_at_most(idle_s, ends_at)


def _reader(body: Any) -> DeadlineReader | None:
    reader = getattr(getattr(body, "fp", None), "raw", None)
    return reader if isinstance(reader, DeadlineReader) else None
