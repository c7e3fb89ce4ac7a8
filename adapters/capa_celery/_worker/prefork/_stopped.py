"""Processes that were stopped: they neither work nor end, and nobody is told."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_S = 1.0
MOST_LOOKS = 5


class StoppedWatch:
    """Finds processes that a signal stopped and none continues. One that a debugger traces is none of them.

    It counts looks, not seconds: while this process is stopped too, as by Ctrl-Z, it does not count.
    """

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()
        self._next_look = 0.0

    def find(self, pids: Iterable[int]) -> list[int]:
        """Return those of *pids* that were stopped each of the last five times. Called again and again."""
        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + LOOK_S
        self._seen = Counter({pid: self._seen[pid] + 1 for pid in pids if _is_stopped(pid)})
        return [pid for pid, looks in self._seen.items() if looks >= MOST_LOOKS]


@contextmanager
def held_up(pid: int, *, within_s: float) -> Iterator[None]:
    """Keep a process from going on, so that what it does now is what it did a moment ago; one that has ended is fine.

    One that the kernel does not stop within *within_s*, since it waits for a disk, is not waited for.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + within_s
    while Path(f"/proc/{pid}").exists() and not _is_stopped(pid) and time.monotonic() < end:
        time.sleep(0.001)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
