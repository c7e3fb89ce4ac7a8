"""The line of processes that wait to write to one file, so that none is passed over for long.

SQLite's write lock goes to whoever tries at the right moment. With many processes that write without a pause, one of
them may miss that moment until its time is up. Here only the first in line tries, and the next one becomes the first
when the former has the write lock: a process that has just written cannot come before those that wait. Which of the
waiting ones is next is decided by chance, with odds that grow with the time for which it has waited.

The place of the first is a lock on a file of its own, which the operating system releases when its holder dies.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capa_core.folders import open_private

try:
    import fcntl

    _ORDERED = True
except ImportError:  # Windows: there the processes wait without an order
    _ORDERED = False

LONGEST_PAUSE_S = 0.002
_SHORTEST_PAUSE_S = 0.00005


class Line:
    """The line at `<path>-line`. Used by one thread at a time; `close` it before a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-line")
        self._descriptor = -1

    @contextmanager
    def first(self, timeout_s: float) -> Iterator[None]:
        """Run the block as the first in line.

        Raises:
            TimeoutError: Others were first for *timeout_s*.
            OSError: The file of the line cannot be opened.
        """
        if not _ORDERED:
            yield
            return
        if self._descriptor < 0:
            self._descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
        _acquire(self._descriptor, timeout_s)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file. The next `first` opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _acquire(descriptor: int, timeout_s: float) -> None:
    start = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited_s = time.monotonic() - start
            if waited_s > timeout_s:
                raise TimeoutError from None
        else:
            return
        # Those that have waited for long try up to forty times as often as newcomers.
        patience = max(0.0, 1 - waited_s / timeout_s) ** 2 if timeout_s else 0.0
        time.sleep(random.uniform(0, max(_SHORTEST_PAUSE_S, LONGEST_PAUSE_S * patience)))  # noqa: S311 - no secret
