"""What stands in for a driver after its portable object was closed."""

from __future__ import annotations

from typing import Any, NoReturn

from capa_core.errors import ClosedError


class ClosedDriver:
    """Answers every call with `ClosedError`; takes the driver's place, so that open objects pay no check."""

    def __init__(self, block: str, name: str) -> None:
        self._what = f"{block} {name!r}"

    def __getattr__(self, name: str) -> NoReturn:
        raise ClosedError(
            f"{self._what} was closed before; nothing was done. Open it anew through a runtime."
        )

    def close(self) -> None:
        """Do nothing: a second `close` is allowed."""

    def forget(self) -> None:
        """Do nothing: there is nothing left to forget."""


def closed(block: str, name: str) -> Any:
    """Return the stand-in, as whatever type of driver it stands for."""
    return ClosedDriver(block, name)
