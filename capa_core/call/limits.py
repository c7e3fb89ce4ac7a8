"""Checks of an engine's limits before a call, so that no request over a limit is sent.

A portable type keeps each limit as an int, so that a check is one comparison; `refuse` is for the rare case.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from capa_core.errors import InvalidArgumentError

UNLIMITED = sys.maxsize


def bound(limit: int | None) -> int:
    """Return *limit* as an int to compare with; without a limit, one above every size."""
    return UNLIMITED if limit is None else limit


def refuse(component: str, thing: str, given: float, limits: Any, name: str) -> NoReturn:
    """Raise the error for *thing*, whose size *given* is over the limit *name* of *limits*.

    Args:
        component: Block and name, such as `state 'orders'`.
        name: A field of *limits*; its last part is the unit.

    Raises:
        InvalidArgumentError: Always.
    """
    unit = _UNITS[name.rpartition("_")[2]]
    most = getattr(limits, name)
    raise InvalidArgumentError(
        f"{component}: {thing} has {given:,} {unit}; the component accepts at most {most:,} ({name}). Nothing was done."
        f" Make it smaller, or choose another driver in capa.toml; `capa doctor` shows the limits of each component."
    )


_UNITS = {"bytes": "bytes", "length": "characters", "s": "seconds", "batch": "items"}
