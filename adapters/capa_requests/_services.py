"""Hosts that capa.toml names as services, reached through Capa instead of a socket of their own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.client import HTTPMessage
from typing import TYPE_CHECKING, Any

from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response
from urllib3._collections import HTTPHeaderDict
from urllib3.response import HTTPResponse

from capa_requests import _deadline, _response
from capa_requests._settings import runtime

if TYPE_CHECKING:
    from capa_core.blocks.invocation.driver import InvocationResponse
    from capa_core.errors import CapaError


class _Pieces(io.RawIOBase):
    """A body that comes in pieces, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None and not self.closed:
            close()
        super().close()


class _Head:
    """The part of `http.client.HTTPResponse` that the cookie jars of the original look at."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.msg = HTTPMessage()
        for name, value in headers:
            self.msg.set_raw(name, value)

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        return None


def find(host: str, port: int | None) -> str | None:
    """Return the service that *host* and *port* mean, or `None` for an address outside."""
    return runtime().service_for(host, port)


def send(
    service: str, adapter: HTTPAdapter, request: PreparedRequest, target: str, *, stream: bool, timeout: Any
) -> Response:
    """Return the answer of *service* to *request*.

    Raises:
        ReadTimeout: It did not answer in time.
        ConnectionError: It cannot be reached.
    """
    from capa_core.errors import CapaError

    try:
        answer = (
            runtime()
            .invocation(service)
            .request(
                str(request.method),
                target,
                headers=[(name, _text(value)) for name, value in request.headers.items()],
                body=_whole(request.body),
                timeout_s=_timeout_s(timeout),
                stream=stream,
            )
        )
    except CapaError as error:
        raise _translated(error, request) from error
    return _response.build(adapter, request, _raw(answer, request, target))


def _raw(answer: InvocationResponse, request: PreparedRequest, target: str) -> HTTPResponse:
    body = io.BytesIO(answer.body) if answer.stream is None else io.BufferedReader(_Pieces(answer.stream))
    return HTTPResponse(
        body=body,
        headers=HTTPHeaderDict(answer.headers),
        status=answer.status,
        reason=answer.reason,
        version=11,
        version_string="HTTP/1.1",
        preload_content=False,
        decode_content=False,
        original_response=_Head(answer.headers),  # type: ignore[arg-type]
        request_method=request.method,
        request_url=target,
    )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _whole(body: Any) -> bytes:
    """Return all of a request's body: text, bytes, a file, or pieces."""
    if body is None or isinstance(body, bytes):
        return body or b""
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return _whole(body.read())
    return b"".join(map(_whole, body))


def _timeout_s(timeout: Any) -> float | None:
    """Return the seconds for the whole call; `None` for what the service's own settings say."""
    if timeout is None:
        ends_at = _deadline.ends_at()
        return None if ends_at is None else max(_deadline.left_s(ends_at), 0.001)
    if isinstance(timeout, tuple):
        parts = [part for part in timeout if part is not None]
        return sum(parts) if len(parts) == len(timeout) else None
    total = getattr(timeout, "total", timeout)
    return total if isinstance(total, int | float) else None


def _translated(error: CapaError, request: PreparedRequest) -> exceptions.RequestException:
    kind = exceptions.ReadTimeout if error.code == "deadline" else exceptions.ConnectionError
    return kind(error, request=request)
