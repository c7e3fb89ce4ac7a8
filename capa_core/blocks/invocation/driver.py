"""What it takes to reach a service by name."""

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
    """A service that accepts and never answers, or trickles, ends the call in time."""
    STREAM = ("stream", Level.COMMON)
    """A response body can be read in pieces as it comes."""
    BALANCE = ("balance", Level.SOME)
    """Calls are spread over several endpoints, leaving out those that fail."""


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """One request, in HTTP's terms whatever carries it.

    Attributes:
        verb: Upper-case HTTP method.
        path: Begins with `/`; carries the query; percent-encoded.
        headers: In order, names as written; repeated names are allowed.
        body: The whole body.
    """

    verb: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(slots=True)
class InvocationResponse:
    """One response. *body* is whole unless a stream was asked for; *stream* then yields it and closes at its end."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    stream: Iterator[bytes] | None = None

    def header(self, name: str, default: str = "") -> str:
        """Return the first header of this name, in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationLimits:
    """The most that a way to a service carries; `None` where no limit is known. The service may have its own.

    Attributes:
        max_body_bytes: Of one request.
    """

    max_body_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One address at which a service is reached.

    Attributes:
        url: Without credentials.
        available: Whether calls go there now; one that refused a connection is left out for a while.
        idle: Connections that are kept open and not in use.
    """

    url: str
    available: bool
    idle: int = 0


class InvocationDriver(Driver[SettingsT]):
    """Carries a request to one service: which one, its settings say."""

    @property
    def limits(self) -> InvocationLimits:
        """The most that a request may have. Read once, before anything is opened."""
        return InvocationLimits()

    @abstractmethod
    def inspect(self) -> list[EndpointStatus]:
        """Return the endpoints that are known now, without asking them."""

    @abstractmethod
    def call(
        self, request: InvocationRequest, timeout_s: float, *, stream: bool = False
    ) -> InvocationResponse:
        """Return the response, whatever its status.

        The whole call, reading the body included (unless *stream*), must end within *timeout_s*. Must raise
        an error that `not_sent` recognises when, and only when, the service cannot have seen the request.
        """

    @abstractmethod
    def not_sent(self, error: Exception) -> bool:
        """Return whether the service certainly never saw the request, so that any verb may be repeated."""
