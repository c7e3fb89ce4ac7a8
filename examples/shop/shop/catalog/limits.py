"""The warehouse can let only so many orders out in a second."""

import threading
import time
from typing import Callable

from shop import remote_config
from shop.errors import Busy


class Gate:
    """A token bucket whose rate is asked for at each call, so that it can change live."""

    def __init__(self, rate: Callable[[], float], clock: Callable[[], float] = time.monotonic):
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = 1.0
        self._at = clock()

    def enter(self) -> None:
        """Take a token, or raise Busy with the time until there is one."""
        rate = max(self._rate(), 0.1)
        with self._lock:
            now = self._clock()
            self._tokens = min(max(rate, 1.0), self._tokens + (now - self._at) * rate)
            self._at = now
            if self._tokens < 1.0:
                raise Busy((1.0 - self._tokens) / rate)
            self._tokens -= 1.0


warehouse = Gate(lambda: remote_config.number("warehouse.commits_per_second", 50))
