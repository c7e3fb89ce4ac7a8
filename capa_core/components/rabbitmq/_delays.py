"""Delays without a plug-in: queues whose messages expire, in a ladder.

A delay is a number of ticks, in binary. Level *n* holds a message for 2ⁿ ticks if bit *n* is set, then its time to live
ends and it goes down a level. The routing key has one word for each bit, and one for the destination:

    exchange delay.7 ──1──▶ queue delay.7.<destination> ──expired──▶ exchange delay.6 … delay.0 ──▶ exchange due
                     ──0────────────────────────────────────────────▶

The messages of one queue have the same time to live, so that none waits behind a longer one. Exchanges are shared; the
queues are those of one destination, made when they are first needed. Moving a message down is at-least-once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

TICK_S = 0.1
LEVELS = 26  # 2²⁵ ticks are the longest time to live that fits into 32 bits of milliseconds
LONGEST_S = int((2**LEVELS - 1) * TICK_S)
_TOP = LEVELS - 1


def ticks(delay_s: float) -> int:
    """Return the ticks of *delay_s*, rounded up, so that no message comes early."""
    return max(1, math.ceil(delay_s / TICK_S - 1e-9))


def levels(count: int) -> list[int]:
    """Return the levels at which a message with *count* ticks waits, the first one first."""
    return [level for level in range(_TOP, -1, -1) if count >> level & 1]


def exchange(prefix: str, level: int) -> str:
    """Return the exchange of *level*; of `due` below the last."""
    return f"{prefix}delay.{level}" if level >= 0 else f"{prefix}due"


def key(count: int, target: str) -> str:
    """Return the routing key of a message with *count* ticks to *target*."""
    return ".".join([*f"{count:0{LEVELS}b}", target])


def waits_at(level: int, target: str) -> str:
    """Return the pattern of keys to *target* whose messages wait at *level*."""
    return "*." * (_TOP - level) + "1." + "*." * level + target


def passes(level: int) -> str:
    """Return the pattern of keys whose messages do not wait at *level*."""
    return "*." * (_TOP - level) + "0.#"


def is_due(target: str) -> str:
    """Return the pattern of keys to *target*."""
    return f"#.{target}"


def expiry_ms(level: int) -> int:
    """Return the time to live at *level*."""
    return round((1 << level) * TICK_S * 1000)


def all_levels() -> Iterator[int]:
    """Yield each level, the lowest first: a message goes down, so that what is below must be there before."""
    yield from range(LEVELS)
