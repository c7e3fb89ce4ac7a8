"""Invocation over HTTP/1.1 of a service at one or more addresses."""

from __future__ import annotations

import itertools
import math
import re
import time
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from capa_core.abilities import NATIVE
from capa_core.blocks.invocation.driver import (
    EndpointStatus,
    InvocationDriver,
    InvocationFeature,
    InvocationRequest,
    InvocationResponse,
)
from capa_core.errors import SettingsError
from capa_core.http import ERROR_TYPES, Endpoint, NotSentError

_PING_S = 5.0
#: The end of a line within a header, which a recipient must replace (RFC 9112, section 5.2).
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _unfolded(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, _FOLD.sub(" ", value) if "\n" in value else value) for name, value in headers]


class HttpInvocationSettings(BaseModel):
    """The addresses of a service and the options of its connections.

    Attributes:
        service: The logical name; filled in by the runtime.
        url: The address, or several, which take turns. `{service}` stands for the logical name.
        verify: Whether to check certificates, or the path of a file with the trusted ones.
        pool_size: The number of idle connections kept for each address.
        eject_s: Seconds for which an address that refused a connection is left out while others answer.
        timeout_s: Seconds for one try, and for each piece of a streamed body; `None` for as long as the call may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str = ""
    url: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        default=("http://{service}",), repr=False
    )
    verify: bool | str = True
    pool_size: int = Field(default=16, ge=1, le=1000)
    eject_s: float = Field(default=5.0, ge=0)
    timeout_s: float | None = Field(default=None, gt=0)


class HttpInvocation(InvocationDriver[HttpInvocationSettings]):
    """Keeps connections alive, and spreads calls over the addresses in turn."""

    settings_type = HttpInvocationSettings
    features = dict.fromkeys(InvocationFeature, NATIVE)
    error_types = ERROR_TYPES

    def __init__(self, settings: HttpInvocationSettings) -> None:
        super().__init__(settings)
        urls = [url.replace("{service}", settings.service) for url in settings.url]
        if not urls:
            raise SettingsError(f"[invocation.{settings.service}]: url is empty. Give at least one address.")
        self._endpoints = [Endpoint(url, verify=settings.verify, size=settings.pool_size) for url in urls]
        self._turn = itertools.count()

    def call(
        self, request: InvocationRequest, timeout_s: float, *, stream: bool = False
    ) -> InvocationResponse:
        """See `InvocationDriver.call`."""
        end = time.monotonic() + timeout_s
        endpoint = self._next()
        try:
            connection = endpoint.send(request, end)
        except NotSentError:
            endpoint.ejected_until = time.monotonic() + self.settings.eject_s
            raise
        socket = connection.sock  # `getresponse` drops it where the service closes after the answer
        try:
            answer = connection.getresponse()
            response = InvocationResponse(answer.status, answer.reason, _unfolded(answer.getheaders()))
            body = endpoint.body(connection, answer)
            if stream:
                socket.end, socket.idle_s = math.inf, timeout_s
                response.stream = body
            else:
                response.body = b"".join(body)
        except BaseException:
            connection.close()
            raise
        return response

    def _next(self) -> Endpoint:
        endpoints = self._endpoints
        if len(endpoints) == 1:
            return endpoints[0]
        now, first = time.monotonic(), next(self._turn)
        order = [endpoints[(first + step) % len(endpoints)] for step in range(len(endpoints))]
        return next((endpoint for endpoint in order if endpoint.ejected_until <= now), order[0])

    def not_sent(self, error: Exception) -> bool:
        """See `InvocationDriver.not_sent`."""
        return isinstance(error, NotSentError)

    def inspect(self) -> list[EndpointStatus]:
        """See `InvocationDriver.inspect`."""
        now = time.monotonic()
        return [
            EndpointStatus(url=one.url, available=one.ejected_until <= now, idle=one.idle)
            for one in self._endpoints
        ]

    def ping(self) -> str:
        """See `Driver.ping`: it opens a connection and sends no request, since none is safe for every service."""
        for endpoint in self._endpoints:
            endpoint.check(self.settings.timeout_s or _PING_S)
        return "accepts connections at " + ", ".join(endpoint.url for endpoint in self._endpoints)

    def close(self) -> None:
        """See `Driver.close`."""
        for endpoint in self._endpoints:
            endpoint.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        for endpoint in self._endpoints:
            endpoint.forget()
