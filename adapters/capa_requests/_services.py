"""Services: hosts that capa.toml names, reached through the invocation block instead of a socket."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import InvalidHeader

from capa_core.shims import current_runtime
from capa_requests import _deadline, _response, _urls
from capa_requests._service_response import ServiceResponse, headers_of
from capa_requests._urls import Address

if TYPE_CHECKING:
    from capa_core.blocks.invocation import Invocation
    from capa_core.errors import CapaError, InvalidArgumentError


def find(address: Address | None, url: str) -> tuple[str, str] | None:
    """Return the service at *address* and the target there, or `None` for an address outside.

    Args:
        url: Where the address is read if there is none: the original serves more than what the fast path does.
    """
    address = address or _urls.unusual_address(url)
    return address and current_runtime().service_for(address.host, address.port, address.target)


def send(
    service: str, target: str, adapter: HTTPAdapter, request: PreparedRequest, *, stream: bool, timeout: Any
) -> Response:
    """Return the answer of *service* to *request*.

    Raises:
        ReadTimeout: It did not answer in time.
        ConnectionError: It cannot be reached.
        InvalidHeader: A header of the request cannot be sent, or the answer has two lengths.
        UnicodeEncodeError: As the original, for a header with other characters than HTTP has. Nothing was sent.
        SettingsError: capa.toml says wrongly how to reach it.
    """
    from capa_core.errors import CapaError, InvalidArgumentError, SettingsError

    try:
        called = current_runtime().invocation(service)
        stream = stream or (timeout is not None and _can_time_each_wait(called))
        answer = called.request(
            str(request.method),
            target,
            headers=_headers(request.headers),
            body=_whole(request.body),
            timeout_s=_timeout_s(timeout),
            stream=stream,
        )
    except SettingsError:  # no outage, so no ConnectionError, which programs repeat
        raise
    except InvalidArgumentError as error:
        raise _unsendable(error, request) from error
    except CapaError as error:
        raise _translated(error, service, request) from error
    except TimeoutError as error:  # no time was left to begin
        raise exceptions.ReadTimeout(_deadline.read_timeout(service), request=request) from error
    body_ends_at = _deadline.body_limits(None)[1] if stream else None
    raw = ServiceResponse(
        answer, service=service, method=str(request.method), target=target, ends_at=body_ends_at
    )
    headers = headers_of(answer)
    if "," in headers.get("content-length", ""):
        _check_length(raw, request)
    return _response.build(adapter, request, raw, headers)


def _check_length(raw: ServiceResponse, request: PreparedRequest) -> None:
    """Build *raw* now, as the original does, since urllib3 may refuse its lengths."""
    try:
        raw.build()
    except InvalidHeader as error:
        raise exceptions.InvalidHeader(error, request=request) from error


def _can_time_each_wait(called: Invocation) -> bool:
    """Return whether the body can be read as a stream, which bounds each wait for it and not the whole."""
    from capa_core.blocks.invocation import InvocationFeature

    return bool(called.features[InvocationFeature.DEADLINE] and called.features[InvocationFeature.STREAM])


def _headers(headers: Any) -> list[tuple[str, str]]:
    """Return the headers of the request as the service gets them: without those about the connection.

    That is the component's, or made for the whole body.
    """
    from capa_core.blocks.invocation import HOP_BY_HOP

    if type(headers) is CaseInsensitiveDict:
        # In a tenth of the time; the names are in lower case already.
        store: dict[str, tuple[str, Any]] = headers._store  # type: ignore[attr-defined]
        pairs = [pair for lower, pair in store.items() if lower not in HOP_BY_HOP]
    else:
        pairs = [pair for pair in headers.items() if pair[0].lower() not in HOP_BY_HOP]
    return [pair if type(pair[1]) is str else (pair[0], _text(pair[1])) for pair in pairs]


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
    ends_at, given_s = _deadline.ends_at(), _given_s(timeout)
    return given_s if ends_at is None else _deadline.at_most(given_s, max(_deadline.left_s(ends_at), 0.001))


def _given_s(timeout: Any) -> float | None:
    if isinstance(timeout, tuple):
        parts = [part for part in timeout if part is not None]
        return sum(parts) if len(parts) == len(timeout) else None
    total = getattr(timeout, "total", timeout)
    return total if isinstance(total, int | float) else None


def _unsendable(error: InvalidArgumentError, request: PreparedRequest) -> exceptions.RequestException:
    """Return the exception for a request that was refused before it was sent.

    Raises:
        UnicodeEncodeError: A header has characters that `http.client` cannot send either.
    """
    for name, value in _headers(request.headers):
        name.encode("ascii")
        value.encode("latin-1")
    return exceptions.InvalidHeader(error, request=request)


def _translated(error: CapaError, service: str, request: PreparedRequest) -> exceptions.RequestException:
    if error.code != "deadline":
        return exceptions.ConnectionError(error, request=request)
    ends_at = _deadline.ends_at()
    is_late = ends_at is not None and monotonic() >= ends_at
    return exceptions.ReadTimeout(_deadline.read_timeout(service) if is_late else error, request=request)
