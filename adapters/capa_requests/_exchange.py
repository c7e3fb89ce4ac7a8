"""What is to be sent, and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Exchange(NamedTuple):
    """A request as it goes out, and how long each step may take.

    Attributes:
        target: Path and query, encoded.
        chunked: Whether the body goes out in pieces, each with its length.
        ends_at: The moment at which all must be done; it stands in for the two timeouts.
        repeatable: Whether the server may see it twice.
        shared: Whether connections are shared with calls that know nothing of each other: none of them may fail
            for what another left behind.
    """

    method: str
    target: str
    headers: Mapping[str, Any]
    body: Any
    chunked: bool
    connect_timeout: float | None
    read_timeout: float | None
    ends_at: float | None
    repeatable: bool
    shared: bool
