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
from typing import TYPE_CHECKING, Any, cast

from capa_requests import _deadline

#: For names of `http.client` that its stubs leave out.
_limits: Any = http.client

_PLAIN_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)\r\n")


class DeadlineReader(io.RawIOBase):
    """A socket's raw reader that gives each read only the time that is left."""

    def __init__(self, sock: socket, ends_at: float) -> None:
        """Read from *sock* until the moment *ends_at*."""
        # By position: fake sockets of tests have another name for it.
        self._raw = sock.makefile("rb", 0)
        self._socket = sock
        self._ends_at: float | None = ends_at

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read the bytes received into *buffer*.

        Raises:
            TimeoutError: The moment has come.
        """
        if self._ends_at is not None:
            self._socket.settimeout(_deadline.left_s(self._ends_at))
        return self._raw.readinto(buffer)

    def wait_at_most(self, seconds: float | None) -> None:
        """From now on let each read wait for *seconds*, for as many reads as it takes."""
        self._ends_at = None
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
        self, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        """Prepare to read the answer to a request with *method* from *sock*."""
        #: Whether each header was one line of a name, a colon and a value.
        self.plain_headers = False
        ends_at = _deadline.ends_at()
        source: Any = sock if ends_at is None else _Makefile(DeadlineReader(sock, ends_at))
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
        lines = self._header_lines()
        message: Any = http.client.HTTPMessage()
        for line in lines[:-1]:
            found = _PLAIN_LINE.fullmatch(line)
            if found is None:
                return http.client.parse_headers(io.BytesIO(b"".join(lines)))
            message.set_raw(found[1].decode("ascii"), found[2].decode("iso-8859-1"))
        message.set_payload("")
        self.plain_headers = True
        return cast("http.client.HTTPMessage", message)

    def _header_lines(self) -> list[bytes]:
        """Read lines up to the one that ends the head, or the end of the stream."""
        # Read anew for each response: applications raise these two limits (HTTPie has an option for it).
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

    def _set_framing(self) -> None:
        encoding = self.headers.get("transfer-encoding")
        self.chunked = bool(encoding and encoding.lower() == "chunked")
        if self.chunked:
            self.chunk_left = None
        self.will_close = self._check_close()
        self.length = None if self.chunked else _length(self.headers.get("content-length"))
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


def unbind(body: Any, idle_s: float | None) -> None:
    """Let the body of the answer *body* be read beyond the deadline, each read waiting up to *idle_s*."""
    reader = getattr(getattr(body, "fp", None), "raw", None)
    if isinstance(reader, DeadlineReader):
        reader.wait_at_most(idle_s)
