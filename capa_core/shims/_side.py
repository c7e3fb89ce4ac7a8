"""The side that serves the calls of an adapter: one setting, read when a process first uses the adapter."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_core.shims._sdk import Sdk


class Side(StrEnum):
    """The back half that serves the calls of an adapter.

    `SHADOW` and `CANARY` are names that settings may hold and that no adapter serves yet.
    """

    LEGACY = "legacy"
    """The original's own back half, as if the original had been imported."""
    SHADOW = "shadow"
    """The original, while Capa is tried and compared."""
    CANARY = "canary"
    """Capa for a share of the calls, the original for the others."""
    CAPA = "capa"
    """Capa's components."""


def check_side(side: str, sdk: Sdk, place: str) -> None:
    """Check that *side*, set at *place* of the settings, can serve the calls of the adapter.

    Raises:
        SettingsError: The value is not a side.
        UnsupportedError: No adapter has it yet, or this adapter inherits from no original.
    """
    if side in sdk.sides:
        return
    from capa_core.errors import SettingsError, UnsupportedError

    available = ", ".join(repr(one) for one in sdk.sides)
    end = f"Available: {available}. Nothing was sent; correct the setting."
    if side not in set(Side):
        raise SettingsError(f"{place}: there is no side {side!r}. {end}")
    if side == Side.LEGACY:
        problem = f"has nothing to go back to: {sdk.package} inherits from no original"
    else:
        problem = f"is not available yet for {sdk.package}"
    raise UnsupportedError(f"{place}: side {str(side)!r} {problem}. {end}")
