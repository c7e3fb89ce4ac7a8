"""Addresses of engines and of legacy code: in one form, so that two spellings compare equal, and fit to be shown."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from capa_core.engine import Scheme, scheme_of


def normalised(address: str) -> str:
    """Return *address* in lower case without credentials, query and defaults.

    `redis://:pw@Redis.internal/` and `redis://redis.internal:6379/0` give the same text.

    Raises:
        ValueError: The port is not a number, a bracket is missing, or the host cannot be written in ASCII.
    """
    if "://" not in address:
        return address.strip().lower()
    parts = urlsplit(address.strip())
    scheme = _scheme(parts)
    path = parts.path.rstrip("/")
    if path == f"/{scheme.path}":
        path = ""
    host = _host(parts)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme.name}://{shown}:{parts.port or scheme.port or ''}{path}"


def is_same(one: str, other: str) -> bool:
    """Return whether both are spellings of one address, regardless of credentials; a malformed one has no other."""
    try:
        return normalised(one) == normalised(other)
    except ValueError:
        return one == other


class HttpPlace(NamedTuple):
    """A part of an HTTP server.

    Attributes:
        host: In lower case, ASCII, an IPv6 address without brackets, without the dot that ends an absolute name.
        path: Percent-encoded, with a leading `/` and without one at the end; `""` for the whole server.
    """

    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"


def http_places(address: str) -> list[HttpPlace]:
    """Return the places that *address* means: one; without scheme and port, those of HTTP and of HTTPS.

    Raises:
        ValueError: As `normalised`, or there is no host.
    """
    parts = urlsplit(address.strip() if "://" in address else f"//{address.strip()}")
    port = parts.port or _scheme(parts).port
    if not (host := _host(parts)):
        raise ValueError("no host")  # without the address, which may hold a password
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
    return [HttpPlace(host, each, path) for each in ([port] if port else [80, 443])]


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").removesuffix(".")
    return host if host.isascii() else host.encode("idna").decode()


def _scheme(parts: SplitResult) -> Scheme:
    found = scheme_of(parts.scheme)
    return found[1] if found else Scheme(parts.scheme)
