"""The server side of invocation: an application of methods registered by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, Union, overload
from urllib.parse import parse_qs, quote, unquote

from capa_core.blocks.invocation._outgoing import check_text
from capa_core.blocks.invocation.driver import InvocationRequest, InvocationResponse
from capa_core.call import deadline, telemetry
from capa_core.call.body import encoded, loads
from capa_core.call.conventions import HTTP_SERVER_DURATION
from capa_core.call.handlers import check_plain
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import (
    AlreadyExistsError,
    CapaError,
    DeadlineError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from capa_core.blocks.invocation._served import Served

    Application = Union["Service", WSGIApplication]  # noqa: UP007 - Service is defined below
else:
    Application = object

STATUS_BY_ERROR: tuple[tuple[type[CapaError], HTTPStatus], ...] = (
    (InvalidArgumentError, HTTPStatus.BAD_REQUEST),
    (PermissionDeniedError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (DeadlineError, HTTPStatus.GATEWAY_TIMEOUT),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)


_COUNT = re.compile(r"[0-9]{1,15}")
_PIECE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Call:
    """The argument of a registered method.

    Attributes:
        method: The registered name.
        request: The request as received.
    """

    method: str
    request: InvocationRequest

    @property
    def data(self) -> bytes:
        """The body."""
        return self.request.body

    @property
    def query(self) -> dict[str, list[str]]:
        """The query: all values of each name."""
        return parse_qs(self.request.path.partition("?")[2], keep_blank_values=True)

    def header(self, name: str, default: str = "") -> str:
        """Return the first header of this name, ignoring case."""
        wanted = name.lower()
        return next((value for key, value in self.request.headers if key.lower() == wanted), default)

    def json(self) -> Any:
        """Return the body parsed as JSON.

        Raises:
            InvalidArgumentError: It is not JSON; the caller gets status 400.
        """
        try:
            return loads(self.data)
        except ValueError as error:
            raise InvalidArgumentError(f"{self.method}: the body is not JSON: {error}") from error


Handler = Callable[[Call], Any]
HandlerT = TypeVar("HandlerT", bound=Handler)


@blocking()
class Service:
    """Methods by name. Register first, then serve over HTTP (`serve`), in-process (`Runtime.host`), or as WSGI.

    A handler returns an `InvocationResponse`, bytes, text, `None` (204) or anything with a JSON form (200). A
    `CapaError` that it raises becomes the matching status; any other exception becomes 500 and is logged.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: dict[str, tuple[Handler, frozenset[str]]] = {}
        self._log = telemetry.logger("invocation", name)

    @overload
    def register(self, method: str, handler: HandlerT, *, verbs: Iterable[str] = ...) -> HandlerT: ...

    @overload
    def register(
        self, method: str, handler: None = None, *, verbs: Iterable[str] = ...
    ) -> Callable[[HandlerT], HandlerT]: ...

    @call_traits(immediate=True, handler="handler")
    def register(
        self,
        method: str,
        handler: Handler | None = None,
        *,
        verbs: Iterable[str] = ("POST", "GET", "PUT", "DELETE"),
    ) -> Any:
        """Register *handler* for *method*; without a handler, return a decorator.

        Raises:
            AlreadyExistsError: The method already has a handler.
            InvalidArgumentError: *handler* is not a plain function.
        """
        if handler is None:
            return lambda function: self.register(method, function, verbs=verbs)
        check_plain("handler", handler)
        key = method.strip("/")
        if key in self._handlers:
            raise AlreadyExistsError(
                f"service {self.name!r}: method {key!r} is already registered. Choose another name."
            )
        self._handlers[key] = (handler, frozenset(verb.upper() for verb in verbs))
        return handler

    @call_traits(waits=True)
    def answer(self, request: InvocationRequest) -> InvocationResponse:
        """Return the response to *request*; never raises."""
        method = unquote(request.path.partition("?")[0]).strip("/")
        found = self._handlers.get(method)
        if found is None:
            return _problem(HTTPStatus.NOT_FOUND, f"service {self.name!r} has no method {method!r}")
        handler, verbs = found
        if request.verb not in verbs:
            return _problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{method!r} answers {', '.join(sorted(verbs))}")
        call = Call(method, request)
        given = call.header(deadline.HEADER)
        if not _COUNT.fullmatch(given):
            return self._traced(handler, call)
        with deadline.within(int(given) / 1000):
            return self._traced(handler, call)

    def _traced(self, handler: Handler, call: Call) -> InvocationResponse:
        if not telemetry.observing():
            return self._run(handler, call)
        subject = {"http.request.method": call.request.verb, "http.route": f"/{call.method}"}
        with (
            telemetry.measured(HTTP_SERVER_DURATION, {**subject, "capa.service": self.name}) as outcome,
            telemetry.continued({name.lower(): value for name, value in call.request.headers}),
        ):
            response = self._run(self._in_span(handler), call)
            outcome["http.response.status_code"] = response.status
            if response.status >= 500:
                outcome["error.type"] = str(response.status)
            return response

    def _in_span(self, handler: Handler) -> Handler:
        def spanned(call: Call) -> Any:
            name = f"{call.request.verb} /{call.method}"
            with telemetry.span(name, {"capa.service": self.name}, kind="SERVER"):
                return _response(handler(call))

        return spanned

    def _run(self, handler: Handler, call: Call) -> InvocationResponse:
        try:
            return _response(handler(call))
        except CapaError as error:
            status = next((status for kind, status in STATUS_BY_ERROR if isinstance(error, kind)), None)
            return _problem(status or HTTPStatus.INTERNAL_SERVER_ERROR, str(error), error.code)
        except (Exception, SystemExit):  # noqa: BLE001 - the caller gets a status; the reason is logged here
            self._log.exception("method failed", method=call.method)
            return _problem(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"{call.method!r} failed; see the service's log"
            )

    @call_traits(immediate=True)
    def wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application (PEP 3333), for any WSGI server."""
        try:
            response = self.answer(_request(environ))
        except InvalidArgumentError as error:
            response = _problem(HTTPStatus.BAD_REQUEST, str(error), error.code)
        start_response(f"{response.status} {response.reason}", response.headers)
        return [response.body]

    @call_traits(opens=True)
    def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, threads: int = 8, connections: int = 4096
    ) -> Served:
        """Serve over HTTP in background threads until the result is closed; *port* 0 takes a free one.

        Args:
            connections: The most at a time, and at most half of the descriptors that the process may open. Above it
                the one that has waited longest for a request is closed.

        Raises:
            UnavailableError: The address is in use or cannot be bound.
        """
        from capa_core.blocks.invocation._served import Served

        return Served(self.wsgi, host=host, port=port, threads=threads, connections=connections)


def _request(environ: WSGIEnvironment) -> InvocationRequest:
    # The server has decoded it; `answer` decodes once more, and `%252e` is no dot.
    path = quote(environ.get("PATH_INFO", "/").encode("latin-1"), safe="/&=:@!$'()*+,;~-._")
    query = environ.get("QUERY_STRING", "")
    return InvocationRequest(
        verb=environ["REQUEST_METHOD"],
        path=f"{path}?{query}" if query else path,
        headers=tuple(_headers(environ)),
        body=_body(environ),
    )


def _body(environ: WSGIEnvironment) -> bytes:
    """Return the body. Its length is only a claim of the caller: it is read in pieces, as they arrive.

    Raises:
        InvalidArgumentError: The length is not a number, or less arrived.
    """
    given = environ.get("CONTENT_LENGTH") or "0"
    if not _COUNT.fullmatch(given):
        raise InvalidArgumentError(f"Content-Length is {given!r:.40}: give a number of bytes")
    left, pieces = int(given), []
    while left:
        piece = environ["wsgi.input"].read(min(left, _PIECE_BYTES))
        if not piece:
            raise InvalidArgumentError(f"the body ended {left} bytes before its Content-Length")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _headers(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").title(), value
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield key.replace("_", "-").title(), value


def _response(result: Any) -> InvocationResponse:
    if result is None:
        return InvocationResponse(204, "No Content", [])
    try:
        if isinstance(result, InvocationResponse):
            check_text(result.headers, "the response")
            return result
        body, content_type = encoded(result)
    except InvalidArgumentError as error:
        # The method's mistake: `InvalidArgumentError` would become a status that blames the caller.
        raise TypeError(f"a method returned a value that cannot be sent: {error}") from error
    return _with_body(HTTPStatus.OK, body, content_type)


def _problem(status: HTTPStatus, detail: str, code: str = "") -> InvocationResponse:
    """Return a problem document (RFC 9457)."""
    document = {"title": status.phrase, "status": status.value, "detail": detail} | (
        {"code": code} if code else {}
    )
    return _with_body(status, json.dumps(document).encode(), "application/problem+json")


def _with_body(status: HTTPStatus, body: bytes, content_type: str) -> InvocationResponse:
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    return InvocationResponse(status.value, status.phrase, headers, body)
