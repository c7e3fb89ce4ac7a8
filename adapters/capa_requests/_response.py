"""The original's `Response`: built from urllib3's and read, without the steps that change nothing."""

from __future__ import annotations

from typing import Any, cast

import urllib3.exceptions
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3._collections import HTTPHeaderDict
from urllib3.response import HTTPResponse

from capa_requests import _originals
from capa_requests._reading import WireResponse
from capa_requests._service_response import ServiceResponse

_COOKIES = {"set-cookie", "set-cookie2"}

_encodings: dict[str | None, str | None] = {}
_MOST_CONTENT_TYPES = 256

#: A longer body is read in pieces: its length is only a claim of the server.
_PIECE_BYTES = 1 << 20


def build(
    adapter: HTTPAdapter, request: PreparedRequest, raw: Any, headers: CaseInsensitiveDict[str] | None = None
) -> Response:
    """Return the same as `adapter.build_response(request, raw)`.

    Args:
        headers: Those of *raw*, if the caller has them in this form.
    """
    response: Any = Response()
    response.status_code = raw.status
    response.headers = _headers(raw) if headers is None else headers
    response.encoding = _encoding(response.headers)
    response.raw = raw
    response.reason = raw.reason
    response.url = request.url
    _own_part(raw).without_cookies = response.headers._store.keys().isdisjoint(_COOKIES)
    if sets_cookies(raw):
        extract_cookies_to_jar(response.cookies, request, raw)  # type: ignore[no-untyped-call]
    response.request = request
    response.connection = adapter
    return cast("Response", response)


def _encoding(headers: CaseInsensitiveDict[str]) -> str | None:
    """Return the same as `get_encoding_from_headers`, which depends on the content type alone."""
    content_type = headers.get("content-type")
    try:
        return _encodings[content_type]
    except KeyError:
        if len(_encodings) >= _MOST_CONTENT_TYPES:
            _encodings.clear()
        encoding = _encodings[content_type] = get_encoding_from_headers(headers)
        return encoding


def _headers(raw: Any) -> CaseInsensitiveDict[str]:
    """Return the same as `CaseInsensitiveDict(raw.headers)`, without two calls for each header."""
    if type(raw.headers) is not HTTPHeaderDict:
        return CaseInsensitiveDict(raw.headers)
    headers: Any = CaseInsensitiveDict()
    headers._store.update(
        {lower: (values[0], ", ".join(values[1:])) for lower, values in raw.headers._container.items()}
    )
    return cast("CaseInsensitiveDict[str]", headers)


def sets_cookies(raw: Any) -> bool:
    """Return whether reading cookies from *raw* could find any."""
    return not getattr(_own_part(raw), "without_cookies", False)


def _own_part(raw: Any) -> Any:
    """Return the object behind *raw* that no other code writes to."""
    return raw if type(raw) is ServiceResponse else getattr(raw, "_original_response", None)


def read(response: Any) -> None:
    """Read the body of *response* into it, as reading `response.content` does.

    Raises:
        ChunkedEncodingError: The body ended early.
        ContentDecodingError: Its encoding is not the one of its headers.
        ConnectionError: It did not come in time.
        SSLError: The connection broke.
    """
    raw = response.raw
    if type(raw) is ServiceResponse and response._content is False and (body := raw.whole_body()) is not None:
        response._content, response._content_consumed = body, True
        return
    if response._content is not False or response._content_consumed or not _readable_at_once(raw):
        response.content  # noqa: B018 - the property reads the body
        return
    try:
        response._content = _whole(raw)
    except urllib3.exceptions.ProtocolError as error:
        raise exceptions.ChunkedEncodingError(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise exceptions.ContentDecodingError(error) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise exceptions.ConnectionError(error) from error
    except urllib3.exceptions.SSLError as error:
        raise exceptions.SSLError(error) from error
    response._content_consumed = True


def _whole(raw: Any) -> bytes:
    if (raw.length_remaining or 0) <= _PIECE_BYTES:
        is_plain = raw.length_remaining is not None and "content-encoding" not in raw.headers
        body: bytes = (
            _plain(raw) if is_plain and _originals.READING.unchanged() else raw.read(decode_content=True)
        )
        return body
    pieces = []
    while piece := raw.read(_PIECE_BYTES, decode_content=True):
        pieces.append(piece)
    return b"".join(pieces)


def _plain(raw: Any) -> bytes:
    """Do as `raw.read()` for a body of known length that is not encoded."""
    raw._init_decoder()
    try:
        body: bytes = raw._fp.read()
    except Exception:
        with raw._error_catcher():  # which names it, and closes what is broken
            raise
    raw._fp_bytes_read += len(body)
    raw.length_remaining -= len(body)
    if raw._fp.isclosed():
        raw.release_conn()
    return body


def _readable_at_once(raw: Any) -> bool:
    """Return whether reading all of *raw* at once ends as reading it in pieces does.

    Only `http.client` itself detects a body that is too short, and closes it at its end. For any other body (of a mock
    library, of an adapter of the application) urllib3 does so, and only when it is read in pieces.
    """
    if type(raw) is not HTTPResponse or raw.chunked:
        return False
    body: Any = raw._fp
    # The two do not agree on a list of lengths.
    return type(body) is WireResponse and body.length == raw.length_remaining
