"""The response of a service in the form of urllib3's, built when an attribute of it is first read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.client import HTTPMessage
from time import monotonic
from typing import TYPE_CHECKING, Any

from requests.structures import CaseInsensitiveDict
from urllib3._collections import HTTPHeaderDict
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import HTTPResponse

from capa_requests import _deadline
from capa_requests._urllib3 import accepted

if TYPE_CHECKING:
    from capa_core.blocks.invocation.driver import InvocationResponse


class _Pieces(io.RawIOBase):
    """The body from *service* that comes in pieces, as a file; it must come until *ends_at*, if there is one."""

    def __init__(self, pieces: Iterator[bytes], service: str, ends_at: float | None) -> None:
        self._pieces = pieces
        self._service = service
        self._ends_at = ends_at
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            if self._is_late():
                raise _deadline.read_timeout(self._service)
            try:
                piece = next(self._pieces, None)
            except TimeoutError as error:  # urllib3 would drop its message
                raise self._timed_out() from error
            if piece is None:
                return 0
            self._left = piece
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _is_late(self) -> bool:
        return self._ends_at is not None and monotonic() >= self._ends_at

    def _timed_out(self) -> ReadTimeoutError:
        if self._is_late():
            return _deadline.read_timeout(self._service)
        reason = f"no more of the body came within timeout=, or timeout_s of [invocation.{self._service}]"
        return ReadTimeoutError(self._service, None, f"Read timed out: {reason}")  # type: ignore[arg-type]

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None and not self.closed:
            close()
        super().close()


class _Head:
    """The part of `http.client.HTTPResponse` that the cookie jars of the original read."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.msg = HTTPMessage()
        for name, value in headers:
            self.msg.set_raw(name, value)

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        return None


class ServiceResponse(HTTPResponse):
    """The response of a service, as `requests.Response.raw`.

    Building urllib3's response takes longer than a call to a service in this process, and hardly any program reads it.
    So it is built when an attribute of it is first read.
    """

    def __init__(
        self,
        answer: InvocationResponse,
        *,
        service: str,
        method: str,
        target: str,
        ends_at: float | None = None,
    ) -> None:
        """Wrap the *answer* of *service* to a request for *target*.

        A body in pieces must come until the moment *ends_at*.
        """
        self.without_cookies = False
        self.status, self.reason = answer.status, answer.reason
        self._answer = answer
        self._service = service
        self._asked = (method, target)
        self._ends_at = ends_at
        self._taken = False

    def __getattr__(self, name: str) -> Any:
        if "_fp" in self.__dict__ or "_asked" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.build()
        return getattr(self, name)

    def build(self) -> None:
        """Build urllib3's response now.

        Raises:
            urllib3.exceptions.InvalidHeader: The answer has lengths that differ.
        """
        answer, (method, target) = self._answer, self._asked
        pieces = None if answer.stream is None else _Pieces(answer.stream, self._service, self._ends_at)
        body = io.BytesIO(answer.body) if pieces is None else io.BufferedReader(pieces)
        super().__init__(
            body=body,
            headers=HTTPHeaderDict(answer.headers),
            status=answer.status,
            reason=answer.reason,
            version=11,
            preload_content=False,
            decode_content=False,
            original_response=_Head(answer.headers),  # type: ignore[arg-type]
            request_method=method,
            request_url=target,
            **accepted({"version_string": "HTTP/1.1"}),
        )
        if self._taken:
            self.read()

    @property
    def closed(self) -> bool:
        """Whether there is nothing more to read; read for every response that is dropped."""
        if "_fp" in self.__dict__:
            return super().closed
        return self._answer.stream is None

    def whole_body(self) -> bytes | None:
        """Return all of the body at once; `None` if reading has begun, it comes in pieces, or it is encoded."""
        answer = self._answer
        encoded = any(name.lower() == "content-encoding" for name, _ in answer.headers)
        if "_fp" in self.__dict__ or answer.stream is not None or encoded or self._asked[0] == "HEAD":
            return None
        self._taken = True
        return answer.body


def headers_of(answer: InvocationResponse) -> CaseInsensitiveDict[str]:
    """Return the headers as `requests.Response.headers` holds them: repeated ones joined."""
    merged: dict[str, tuple[str, str]] = {}
    for name, value in answer.headers:
        known = merged.get(name.lower())
        merged[name.lower()] = (name, value) if known is None else (known[0], f"{known[1]}, {value}")
    return CaseInsensitiveDict(merged.values())
