"""Building the original's `Response` from urllib3's, and reading its body, without what changes nothing."""

from __future__ import annotations

from typing import Any

import urllib3.exceptions
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.response import HTTPResponse


def build(adapter: HTTPAdapter, request: PreparedRequest, raw: HTTPResponse) -> Response:
    """Return what `adapter.build_response(request, raw)` returns."""
    response = Response()
    response.status_code = raw.status
    response.headers = CaseInsensitiveDict(raw.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = raw
    response.reason = raw.reason  # type: ignore[assignment]
    response.url = request.url  # type: ignore[assignment]
    if sets_cookies(raw):
        extract_cookies_to_jar(response.cookies, request, raw)  # type: ignore[no-untyped-call]
    response.request = request
    response.connection = adapter
    return response


def sets_cookies(raw: Any) -> bool:
    """Tell whether reading cookies from *raw* could find any."""
    return type(raw) is not HTTPResponse or "set-cookie" in raw.headers or "set-cookie2" in raw.headers


def read(response: Any) -> None:
    """Read the body of *response* into it, as reading `response.content` does.

    Raises:
        ChunkedEncodingError: The body ended early.
        ContentDecodingError: It is not encoded as its headers say.
        ConnectionError: It did not come in time.
        SSLError: The connection broke.
    """
    raw = response.raw
    if (
        type(raw) is not HTTPResponse
        or raw.chunked
        or response._content is not False
        or response._content_consumed
    ):
        response.content  # noqa: B018 - the property reads the body
        return
    try:
        response._content = raw.read(decode_content=True)
    except urllib3.exceptions.ProtocolError as error:
        raise exceptions.ChunkedEncodingError(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise exceptions.ContentDecodingError(error) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise exceptions.ConnectionError(error) from error
    except urllib3.exceptions.SSLError as error:
        raise exceptions.SSLError(error) from error
    response._content_consumed = True
