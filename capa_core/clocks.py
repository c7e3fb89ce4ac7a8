"""The clock for spans of time that processes of one machine share, such as leases."""

from __future__ import annotations

import time

if hasattr(time, "CLOCK_BOOTTIME"):

    def boot_time() -> float:
        """Return seconds since the machine started, by a clock that cannot be set and that counts its sleep."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    boot_time = time.monotonic
