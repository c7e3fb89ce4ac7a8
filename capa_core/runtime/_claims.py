"""Claims of names to legacy addresses: each address stands for one name of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from capa_core.errors import SettingsError
from capa_core.secret import without_credentials

T = TypeVar("T")


def claim(claims: dict[T, str], address: T, *, block: str, name: str, origin: str) -> None:
    """Add to *claims* that *address* stands for *name* of *block*.

    Raises:
        SettingsError: It stands for another name.
    """
    if claims.setdefault(address, name) != name:
        raise SettingsError(
            f"{origin}: {address} already stands for {block} {claims[address]!r}. Remove one."
        )


def parsed(parse: Callable[[str], T], address: str, origin: str) -> T:
    """Return what *parse* makes of *address*.

    Raises:
        SettingsError: It raised `ValueError`.
    """
    try:
        return parse(address)
    except ValueError:
        raise SettingsError(
            f"{origin}: {without_credentials(address)!r} is not an address. Write scheme://host:port, and escape"
            " special characters in a password as %XX."
        ) from None
