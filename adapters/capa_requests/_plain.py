"""HTTP/1.1 over a connection for plain requests: all headers are text, the body is whole.

`http.client` checks, encodes and buffers each header by itself. A plain head is written as one string, checked
by one regular expression, and sent together with the body. Other requests go through the connection's own
`request` and `getresponse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import urllib3.connection
from requests.structures import CaseInsensitiveDict
from urllib3._collections import HTTPHeaderDict
from urllib3.exceptions import HeaderParsingError
from urllib3.response import HTTPResponse
from urllib3.util import SKIP_HEADER
from urllib3.util.response import assert_header_parsing

from capa_requests._exchange import Exchange
from capa_requests._reading import WireResponse, arm
from capa_requests._urllib3 import accepted

#: The value may not begin with a space, nor hold control characters or characters outside Latin-1.
_HEADERS = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: (?:[!-~\x80-\xff][\t -~\x80-\xff]*)?\r\n)+")
_REQUEST_LINE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ /[!-~]* HTTP/1\.1\r\n")
_BODY_NOT_EXPECTED = {"GET", "HEAD", "DELETE", "TRACE", "OPTIONS", "CONNECT"}
#: The connection would add these itself.
_EXPECTED = {"user-agent", "accept-encoding"}

#: A larger body is not copied behind its head.
_SMALL = 65_536


def message(connection: Any, request: Exchange) -> tuple[bytes, bytes] | None:
    """Return head and body as the connection itself would send them; `None` if they are not plain."""
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    if type(body) is not bytes or type(request.headers) is not CaseInsensitiveDict or request.chunked:
        return None
    headers: Any = request.headers._store  # type: ignore[attr-defined]
    if "transfer-encoding" in headers or not _EXPECTED <= headers.keys():
        return None
    if "content-length" not in headers and request.method not in _BODY_NOT_EXPECTED:
        return None
    head = _head(connection, request, headers)
    return None if head is None else (head, body)


def _head(connection: Any, request: Exchange, headers: dict[str, tuple[str, Any]]) -> bytes | None:
    line = f"{request.method} {request.target} HTTP/1.1\r\n"
    if _REQUEST_LINE.fullmatch(line) is None:
        return None
    host = None if "host" in headers else _host(connection)
    fields = _fields((host, *headers.values()))
    return None if fields is None else line.encode("ascii") + fields


#: The last headers and their bytes: mostly those of a session, call for call.
_last: tuple[tuple[Any, ...], bytes] | None = None


def _fields(given: tuple[Any, ...]) -> bytes | None:
    """Return the bytes of a host, if there is one, and of headers as pairs; `None` if they are not plain."""
    global _last  # noqa: PLW0603 - one assignment, so that threads see a whole pair
    last = _last
    if last is not None and last[0] == given:
        return last[1]
    host, *pairs = given
    lines = [] if host is None else [f"Host: {host}\r\n"]
    for name, value in pairs:
        if type(value) is not str:
            return None
        lines.append(f"{name}: {value}\r\n")
    text = "".join(lines)
    # A value with a line break in it could pass for two headers.
    if text.count("\n") != len(lines) or not _HEADERS.fullmatch(text) or SKIP_HEADER in text:
        return None
    fields = text.encode("latin-1") + b"\r\n"
    _last = (given, fields)
    return fields


def _host(connection: Any) -> str:
    host = connection.host
    if ":" in host:
        host = f"[{host}]"
    return host if connection.port == connection.default_port else f"{host}:{connection.port}"


def send(connection: Any, parts: tuple[bytes, bytes]) -> None:
    """Send head and body as `message` returned them.

    Raises:
        OSError: It could not be sent.
        HTTPError: There is no connection, and none could be made.
    """
    if connection.sock is None:
        connection.connect()
    else:
        arm(connection.sock, connection.timeout)
    head, body = parts
    if len(body) <= _SMALL:
        connection.send(head + body)
        return
    connection.send(head)
    connection.send(body)


def receive(connection: Any, request: Exchange) -> HTTPResponse:
    """Return the answer, its body unread.

    Raises:
        http.client.HTTPException: The bytes received are not HTTP.
        OSError: The connection broke or timed out.
    """
    sock, idle_s = connection.sock, connection.timeout
    if request.ends_at is None:
        arm(sock, idle_s)
    answer = WireResponse(sock, 0, request.method, idle_s=idle_s)
    try:
        answer.begin()
        raw = _wrapped(answer, sock, request)
    except BaseException:
        answer.close()
        raise
    if answer.will_close:
        connection.close()
    return raw


def _wrapped(answer: WireResponse, sock: Any, request: Exchange) -> HTTPResponse:
    return HTTPResponse(
        body=answer,
        headers=_headers(answer, request),
        status=answer.status,
        version=answer.version,
        reason=answer.reason,
        preload_content=False,
        decode_content=False,
        original_response=answer,
        enforce_content_length=True,
        request_method=request.method,
        request_url=request.target,
        **accepted({"version_string": "HTTP/1.1", "sock_shutdown": sock.shutdown}),
    )


def _headers(answer: WireResponse, request: Exchange) -> HTTPHeaderDict:
    if answer.plain_headers is not None:
        return _collected(answer.plain_headers)
    try:
        assert_header_parsing(answer.headers)
    except (HeaderParsingError, TypeError) as error:
        urllib3.connection.log.warning(
            "Failed to parse headers (url=%s): %s", request.target, error, exc_info=True
        )
    unfold = getattr(urllib3.connection, "_normalize_header_values", lambda headers: headers.items())
    return HTTPHeaderDict(unfold(answer.headers))


def _collected(pairs: Iterable[tuple[str, str]]) -> HTTPHeaderDict:
    """Return the same as `HTTPHeaderDict(pairs)`, without a call for each pair."""
    headers = HTTPHeaderDict()
    container = headers._container
    for name, value in pairs:
        known_values = container.get(lower := name.lower())
        if known_values is None:
            container[lower] = [name, value]
        else:
            known_values.append(value)
    return headers
