"""Legacy addresses, brought into one form so that two spellings of one address compare equal."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "http": 80, "https": 443}
SAME_SCHEME = {"pyamqp": "amqp", "librabbitmq": "amqp"}


def normalised(address: str) -> str:
    """Return *address* in lower case without credentials, query and what is the default anyway.

    `redis://:pw@Redis.internal/` and `redis://redis.internal:6379/0` give the same text.

    Raises:
        ValueError: It is no address: its port is no number, or a bracket is missing.
    """
    if "://" not in address:
        return address.strip().lower()
    parts = urlsplit(address.strip())
    scheme = SAME_SCHEME.get(parts.scheme, parts.scheme)
    host = (parts.hostname or "").lower()
    port = parts.port or DEFAULT_PORTS.get(scheme) or ""
    path = parts.path.rstrip("/")
    if scheme in ("redis", "rediss") and path == "/0":
        path = ""
    return f"{scheme}://{host}:{port}{path}"


def without_credentials(address: str) -> str:
    """Return *address* fit to be shown, also if it is malformed."""
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else address.rpartition("@")[2]


def host_and_port(address: str) -> tuple[str, int | None]:
    """Return the host in lower case and the port, if *address* names one or its scheme implies one.

    Raises:
        ValueError: As `normalised`.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme.lower())
    return (parts.hostname or "").lower(), port
