"""One request as it is sent, and the time that each step may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Exchange(NamedTuple):
    """A request as it is sent, and the time that each step may take.

    Attributes:
        target: Path and query, encoded.
        chunked: Whether the body goes out in pieces, each with its length.
        ends_at: The moment by which all must be done, with any values of the two timeouts.
        repeatable: Whether the server may see it twice.
        shared: Whether connections are shared by unrelated calls: none of them may fail because of a connection
            that another one used.
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
