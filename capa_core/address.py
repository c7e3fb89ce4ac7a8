"""Addresses of engines and of legacy code: in one form, so that two spellings compare equal, and fit to be shown."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from capa_core.engine import Scheme, scheme_of


def normalised(address: str) -> str:
    """Return *address* in lower case without credentials, query and defaults.

    `redis://:pw@Redis.internal/` and `redis://redis.internal:6379/0` give the same text.

    Raises:
        ValueError: The port is not a number, or a bracket is missing.
    """
    if "://" not in address:
        return address.strip().lower()
    parts = urlsplit(address.strip())
    scheme = _scheme(parts)
    path = parts.path.rstrip("/")
    if path == f"/{scheme.path}":
        path = ""
    return f"{scheme.name}://{(parts.hostname or '').lower()}:{parts.port or scheme.port or ''}{path}"


def is_same(one: str, other: str) -> bool:
    """Return whether both are spellings of one address, regardless of credentials; a malformed one has no other."""
    try:
        return normalised(one) == normalised(other)
    except ValueError:
        return one == other


def host_and_port(address: str) -> tuple[str, int | None]:
    """Return the host in lower case and the port, if *address* names one or its scheme implies one.

    Raises:
        ValueError: As `normalised`.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    return (parts.hostname or "").lower(), parts.port or _scheme(parts).port


def _scheme(parts: SplitResult) -> Scheme:
    found = scheme_of(parts.scheme)
    return found[1] if found else Scheme(parts.scheme)
