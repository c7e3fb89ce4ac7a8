"""Invocation of a service inside this process, without a socket."""

from __future__ import annotations

import io
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.invocation.driver import (
    EndpointStatus,
    InvocationDriver,
    InvocationFeature,
    InvocationRequest,
    InvocationResponse,
)
from capa_core.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Answer = Callable[[InvocationRequest], InvocationResponse]


class MemoryInvocationSettings(BaseModel):
    """The application of the service.

    Attributes:
        service: The logical name; filled in by the runtime.
        app: `package.module:attribute` of a Service or a WSGI application, imported at the first call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str = ""
    app: str | None = None


class MemoryInvocation(InvocationDriver[MemoryInvocationSettings]):
    """Calls the application in the caller's thread; its deadline is passed on and not enforced from outside."""

    settings_type = MemoryInvocationSettings
    features = {
        InvocationFeature.CALL: NATIVE,
        InvocationFeature.DEADLINE: absent("a function in the caller's own thread cannot be interrupted"),
        InvocationFeature.STREAM: NATIVE,
        InvocationFeature.BALANCE: absent("there is one application"),
    }

    def __init__(self, settings: MemoryInvocationSettings) -> None:
        super().__init__(settings)
        self._answer: Answer | None = None

    def attach(self, application: Any) -> None:
        """Serve *application*: a Service (anything with `answer`), or a WSGI application."""
        self._answer = getattr(application, "answer", None) or _wsgi(application)

    def call(
        self, request: InvocationRequest, timeout_s: float, *, stream: bool = False
    ) -> InvocationResponse:
        """See `InvocationDriver.call`."""
        del timeout_s
        response = (self._answer or self._load())(request)
        if stream:
            response.stream = (piece for piece in [response.body])
        return response

    def _load(self) -> Answer:
        name = self.settings.service
        if self.settings.app is None:
            raise UnavailableError(
                f"service {name!r} is not hosted in this process. Call runtime.host(application, name={name!r}),"
                f" or set app or another driver in [invocation.{name}]."
            )
        module, _, attribute = self.settings.app.partition(":")
        try:
            self.attach(getattr(import_module(module), attribute or "app"))
        except (ImportError, AttributeError) as error:
            raise SettingsError(f"[invocation.{name}] app = {self.settings.app!r}: {error}") from error
        return self._load() if self._answer is None else self._answer

    def not_sent(self, error: Exception) -> bool:
        """See `InvocationDriver.not_sent`."""
        return isinstance(error, UnavailableError)

    def inspect(self) -> list[EndpointStatus]:
        """See `InvocationDriver.inspect`."""
        known = self._answer is not None or self.settings.app is not None
        return [EndpointStatus(url=f"memory://{self.settings.service}", available=known)]

    def ping(self) -> str:
        """See `Driver.ping`."""
        if self._answer is None:
            self._load()
        return f"in this process ({self.settings.app or 'hosted'})"

    def close(self) -> None:
        """See `Driver.close`."""


def _wsgi(application: WSGIApplication) -> Answer:
    """Return a function that calls *application* as PEP 3333 defines."""

    def answer(request: InvocationRequest) -> InvocationResponse:
        started: list[Any] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: Any = None
        ) -> Callable[[bytes], object]:
            started[:] = [status, headers]
            return written.append

        chunks = application(_environ(request), start_response)
        try:
            written.extend(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        code, _, reason = started[0].partition(" ")
        body = b"" if request.verb == "HEAD" else b"".join(written)
        return InvocationResponse(int(code), reason or HTTPStatus(int(code)).phrase, list(started[1]), body)

    return answer


def _environ(request: InvocationRequest) -> dict[str, Any]:
    path, _, query = request.path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.verb,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key != "CONTENT_LENGTH":
            key = f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
