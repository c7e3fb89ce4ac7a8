"""The side that serves the calls of an adapter: one setting, read when a process first uses the adapter."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_core.shims._sdk import Sdk


class Side(StrEnum):
    """Who serves the calls of an adapter.

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


def check_side(side: Side, sdk: Sdk, place: str) -> None:
    """Check that *side*, which stands at *place* of the settings, can serve the calls of the adapter.

    Raises:
        UnsupportedError: It cannot: no adapter has it yet, or this adapter stands on no original.
    """
    if side in sdk.sides:
        return
    from capa_core.errors import UnsupportedError

    if side is Side.LEGACY:
        problem = f"{sdk.package} inherits from no original, so there is none to go back to"
    else:
        problem = f"side {side.value!r} is not available yet for {sdk.package}"
    available = ", ".join(repr(one) for one in sdk.sides)
    raise UnsupportedError(f"{place}: {problem}. Available: {available}. Nothing was sent.")
