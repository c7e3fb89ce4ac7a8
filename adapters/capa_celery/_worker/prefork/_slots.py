"""The tasks that each child has taken and runs, in memory that the worker shares with its children."""

from __future__ import annotations

import mmap
import time

TAKEN = 128
"""The number of tasks that a child may take before it reports: more than an outbox gathers."""
_RUNNING, _STARTED, _SOFT, _HARD, _TARGET, _COUNT, _FIRST = range(7)
_WORDS = _FIRST + TAKEN


class Slots:
    """One slot for each child. Made before the fork; each number is written by one side only."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, count * _WORDS * 8)
        view = memoryview(self._memory)
        self._whole = view.cast("q")
        self._real = view.cast("d")

    def of(self, index: int) -> Slot:
        """Return the slot of child *index*."""
        return Slot(self._whole, self._real, index * _WORDS)


class Slot:
    """The tasks that one child has taken since its last report, and the one that runs; 0 is none.

    The child calls `take`, `begin`, `limit`, `end` and `reported`; the worker the others.
    """

    def __init__(self, whole: memoryview[int], real: memoryview[float], base: int) -> None:
        self._whole = whole
        self._real = real
        self._base = base

    def clear(self) -> None:
        """Forget everything: a new child takes the place."""
        for word in range(_FIRST):
            self._whole[self._base + word] = 0

    def take(self, number: int) -> None:
        """Note a task as taken, and as the one that runs; its limits are not known yet."""
        base, count = self._base, self._whole[self._base + _COUNT]
        self._whole[base + _FIRST + count] = number
        self._whole[base + _COUNT] = count + 1
        self._real[base + _SOFT] = self._real[base + _HARD] = 0.0
        self._real[base + _STARTED] = time.monotonic()
        self._whole[base + _RUNNING] = number

    @property
    def has_room(self) -> bool:
        """Whether another task may be taken before a report."""
        return int(self._whole[self._base + _COUNT]) < TAKEN

    def limit(self, soft: float | None, hard: float | None) -> None:
        """Start the clock of the running task."""
        base = self._base
        self._real[base + _STARTED] = time.monotonic()
        self._real[base + _SOFT] = soft or 0.0
        self._real[base + _HARD] = hard or 0.0

    def end(self) -> None:
        """Note that nothing runs."""
        self._whole[self._base + _RUNNING] = 0

    def reported(self) -> None:
        """Start the list of taken tasks anew."""
        self._whole[self._base + _COUNT] = 0

    @property
    def running(self) -> int:
        """The task that runs."""
        return int(self._whole[self._base + _RUNNING])

    @property
    def since(self) -> float:
        """When it began (monotonic)."""
        return float(self._real[self._base + _STARTED])

    @property
    def taken(self) -> list[int]:
        """The tasks taken and not reported, the running one included."""
        first = self._base + _FIRST
        return self._whole[first : first + int(self._whole[self._base + _COUNT])].tolist()

    def over_soft_limit(self, now: float) -> float:
        """Return the soft limit if the running task is past it and was not signalled, else 0."""
        soft = float(self._real[self._base + _SOFT])
        late = soft and self.running and now - self.since >= soft
        return soft if late and self.target != self.running else 0.0

    def over_hard_limit(self, now: float) -> float:
        """Return the hard limit if the running task is past it, else 0."""
        hard = float(self._real[self._base + _HARD])
        return hard if hard and self.running and now - self.since >= hard else 0.0

    @property
    def target(self) -> int:
        """The task that the soft limit's signal is meant for: it may come when that one has ended."""
        return int(self._whole[self._base + _TARGET])

    @target.setter
    def target(self, number: int) -> None:
        self._whole[self._base + _TARGET] = number
