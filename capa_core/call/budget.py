"""The retry budget: bounds retries, so that they never become the load that keeps a service down."""

from __future__ import annotations

import threading
import time


class RetryBudget:
    """Allows *burst* retries at once and *per_second* in the long run. Safe for many threads.

    A token bucket, as in the gRPC retry design (A6) and Finagle's `RetryBudget`.
    """

    __slots__ = ("_burst", "_lock", "_per_second", "_seen", "_tokens")

    def __init__(self, burst: float = 20.0, per_second: float = 2.0) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = burst
        self._seen = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Return whether one more retry is allowed now; if so, count it."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._per_second)
            self._seen = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
