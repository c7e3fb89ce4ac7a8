"""Services: hosts that capa.toml names, reached through the invocation block instead of a socket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response

from capa_core.shims import current_runtime
from capa_requests import _deadline, _response
from capa_requests._service_response import ServiceResponse, headers_of

if TYPE_CHECKING:
    from capa_core.errors import CapaError


def find(host: str, port: int | None) -> str | None:
    """Return the service that *host* and *port* mean, or `None` for an address outside."""
    return current_runtime().service_for(host, port)


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
            current_runtime()
            .invocation(service)
            .request(
                str(request.method),
                target,
                headers=[(name, _text(value)) for name, value in _pairs(request.headers)],
                body=_whole(request.body),
                timeout_s=_timeout_s(timeout),
                stream=stream,
            )
        )
    except CapaError as error:
        raise _translated(error, request) from error
    raw = ServiceResponse(answer, method=str(request.method), target=target)
    return _response.build(adapter, request, raw, headers_of(answer))


def _pairs(headers: Any) -> Iterable[tuple[str, Any]]:
    store: dict[str, tuple[str, Any]] | None = getattr(headers, "_store", None)
    return headers.items() if store is None else store.values()  # in a tenth of the time


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
    """Return the seconds for the whole call; `None` for the limit of the service's own settings."""
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
