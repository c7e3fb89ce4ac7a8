"""The contract of invocation drivers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT


class InvocationFeature(Feature):
    """Abilities of invocation."""

    CALL = ("call", Level.ALWAYS)
    """A request gets a response within its deadline."""
    DEADLINE = ("deadline", Level.COMMON)
    """A call ends in time even if the service never answers, or trickles data."""
    STREAM = ("stream", Level.COMMON)
    """A response body can be read in pieces as it arrives."""
    BALANCE = ("balance", Level.SOME)
    """Calls are distributed over several endpoints, except those that fail."""


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """One request in the terms of HTTP, for every transport.

    Attributes:
        verb: The HTTP method in upper case.
        path: Begins with `/`; carries the query; percent-encoded.
        headers: In order, with the original case of names; names may be repeated.
        body: The whole body.
    """

    verb: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(slots=True)
class InvocationResponse:
    """One response.

    *body* is complete unless a stream was requested; *stream*, a generator, then yields it and closes at its end. Its
    `close` gives up the rest, and with it the connection.
    """

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    stream: Iterator[bytes] | None = None

    def header(self, name: str, default: str = "") -> str:
        """Return the first header of this name, ignoring case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationLimits:
    """The limits of the transport to a service; `None` where no limit is known. The service may have others.

    Attributes:
        max_body_bytes: The largest body of a request.
    """

    max_body_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """The status of one address of a service.

    Attributes:
        url: The address without credentials.
        available: Whether calls go there now; an endpoint that refused a connection is left out for a while.
        idle: The number of open connections that are not in use.
    """

    url: str
    available: bool
    idle: int = 0


class InvocationDriver(Driver[SettingsT]):
    """The contract of invocation: send requests to the service of the settings."""

    @property
    def limits(self) -> InvocationLimits:
        """The limits of a request. Read once, before anything is opened."""
        return InvocationLimits()

    @abstractmethod
    def inspect(self) -> list[EndpointStatus]:
        """Return the currently known endpoints, without calling them."""

    @abstractmethod
    def call(
        self, request: InvocationRequest, timeout_s: float, *, stream: bool = False
    ) -> InvocationResponse:
        """Return the response, regardless of its status.

        The whole call, including reading the body, *must* end within *timeout_s*; with *stream*, reading the body may
        take longer, and each wait for a piece of it *must* end within *timeout_s*. The stream *must* be a generator,
        whose `close` frees what it holds even if nothing has been read. The call *must* raise an error that `not_sent`
        recognises if, and only if, the service cannot have received the request.
        """

    @abstractmethod
    def not_sent(self, error: Exception) -> bool:
        """Return whether the service cannot have received the request, so that any verb may be repeated."""
