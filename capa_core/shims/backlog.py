"""The messages that wait in the broker of a legacy SDK, as its adapter reads them: for a move to another engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from capa_core.errors import UnsupportedError

if TYPE_CHECKING:
    from capa_core.shims._sdk import Sdk


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessage:
    """A message of a legacy broker as the adapter itself would publish it.

    Attributes:
        label: Its name for people.
        id: The same each time that this message is read, and of no other one.
        priority: 0 (normal) to 9 (most urgent).
        delay_s: Seconds until it is due.
        ttl_s: Seconds until nobody wants it any more; `None` for never.
        is_expired: Whether its sender wants no one to act on it any more. Whoever receives it takes note of that.
        bound_by: The reason why its work is lost elsewhere than at the workers of the original; `""` if it is not.
    """

    label: str
    id: str
    data: bytes
    content_type: str
    priority: int
    delay_s: float
    ttl_s: float | None
    is_expired: bool
    bound_by: str


Read = Callable[[bytes, str, str], WaitingMessage]
"""A reader of a message: its bytes, the id that the broker's side knows it by or `""`, the scheme of the broker.

Raises:
    InvalidArgumentError: It is none of the SDK's messages; the text says why.
"""


def backlog_reader(package: str) -> Read:
    """Return the reader of the adapter *package*; imports the adapter.

    Raises:
        MissingExtraError: The original is not installed, or in a version that is not supported.
        UnsupportedError: The adapter has none.
    """
    sdk: Sdk = import_module(f"{package}._sdk").SDK
    if not sdk.backlog:
        raise UnsupportedError(f"{package} cannot read the messages of a broker. `capa bridge` moves topics.")
    read: Read = resolve_name(sdk.backlog)
    return read
