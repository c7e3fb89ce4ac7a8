"""Priorities: from those of the broker that an application was written for to those of pub/sub."""

from __future__ import annotations

from functools import cache
from typing import Any

from capa_core.engine import scheme_of


def engine_priority(priority: Any, scheme: str) -> int:
    """Return Capa's priority, 0 (normal) to 9 (most urgent), for a message's *priority* on a broker of *scheme*.

    On Redis 0 is both the default and the most urgent: a message with any other priority is *less* urgent than others.
    """
    level = min(9, max(0, int(priority or 0)))
    return 9 - level if _lowest_is_first(scheme) else level


@cache
def _lowest_is_first(scheme: str) -> bool:
    known = scheme_of(scheme)
    return known is not None and known[0].most_urgent == "lowest"
