"""The stand-in for the driver of a closed portable object."""

from __future__ import annotations

from typing import Any, NoReturn

from capa_core.errors import ClosedError


class ClosedDriver:
    """Raises `ClosedError` for every call; it replaces the driver, so that open objects need no check."""

    def __init__(self, block: str, name: str) -> None:
        self._component = f"{block} {name!r}"

    def __getattr__(self, name: str) -> NoReturn:
        raise ClosedError(f"{self._component} is closed; nothing was done. Open it again through a runtime.")

    def close(self) -> None:
        """Do nothing: a second `close` is allowed."""

    def forget(self) -> None:
        """Do nothing: no resource is left."""


def closed(block: str, name: str) -> Any:
    """Return the stand-in, typed as `Any` since it replaces any type of driver."""
    return ClosedDriver(block, name)
