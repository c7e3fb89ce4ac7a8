"""The uptime of the machine: a clock for leases that all processes share and that cannot be set."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Return a text that differs after each start of the machine; `""` if the system has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def seconds() -> float:
    """Return the seconds since `boot`, including sleep; since the epoch if there is no `boot`.

    The latter is exact enough for leases, but jumps when the clock is set.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if boot() else time.time()
