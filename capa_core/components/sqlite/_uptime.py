"""A clock for leases that all processes of a machine share and that nobody sets."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Return a text that is another after each start of the machine; `""` where the system gives none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def seconds() -> float:
    """Return the seconds since `boot`, sleep included; since the epoch where there is no `boot`.

    The second is exact enough for leases, but moves when somebody sets the clock.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if boot() else time.time()
