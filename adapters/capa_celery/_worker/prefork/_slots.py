"""The tasks that each child has taken and runs, in memory that the worker shares with its children."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterable

TAKEN = 128
"""The number of tasks that a child may take before it reports: more than an outbox gathers."""
_RUNNING, _BEGUN, _STARTED, _SOFT, _HARD, _TARGET, _RECEIVING, _HANDLED, _FIRST = range(9)
_WORDS = _FIRST + TAKEN


class Slots:
    """One slot for each child. Made before the fork; each number is written by one side only."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, count * _WORDS * 8)
        view = memoryview(self._memory)
        self._whole = view.cast("q")
        self._real = view.cast("d")
        self._count = count

    def of(self, index: int) -> Slot:
        """Return the slot of child *index*."""
        return Slot(self._whole, self._real, index * _WORDS)

    @property
    def taken(self) -> set[int]:
        """The tasks of all children that are taken and not reported."""
        return {number for index in range(self._count) for number in self.of(index).taken}


class Slot:
    """The tasks that one child has taken and not reported, and the one that runs; 0 is none.

    The child calls `receive`, `take`, `begin`, `limit`, `end` and `reported`; the worker the others.
    """

    def __init__(self, whole: memoryview[int], real: memoryview[float], base: int) -> None:
        self._whole = whole
        self._real = real
        self._base = base
        self._free = list(range(base + _FIRST, base + _FIRST + TAKEN))
        self._places: dict[int, int] = {}

    def clear(self) -> None:
        """Clear everything for a new child."""
        for word in range(_WORDS):
            self._whole[self._base + word] = 0

    def receive(self) -> None:
        """Note that a task may have been received that is not noted yet."""
        self._whole[self._base + _RECEIVING] = 1

    def take(self, number: int) -> None:
        """Note a task as taken, and as the one that runs; its limits are not known yet."""
        base, place = self._base, self._free.pop()
        self._places[number] = place
        self._whole[place] = number
        self._real[base + _SOFT] = self._real[base + _HARD] = 0.0
        self._real[base + _STARTED] = time.monotonic()
        self._whole[base + _RUNNING] = number
        self._whole[base + _RECEIVING] = 0

    @property
    def has_room(self) -> bool:
        """Whether another task may be taken before a report."""
        return bool(self._free)

    def begin(self) -> None:
        """Note that the work on the running task begins, which may be what ends the process."""
        self._whole[self._base + _BEGUN] = self._whole[self._base + _RUNNING]

    def limit(self, soft: float | None, hard: float | None) -> None:
        """Start the clock of the running task."""
        base = self._base
        self._real[base + _STARTED] = time.monotonic()
        self._real[base + _SOFT] = soft or 0.0
        self._real[base + _HARD] = hard or 0.0

    def end(self) -> None:
        """Note that nothing runs."""
        self._whole[self._base + _RUNNING] = self._whole[self._base + _BEGUN] = 0

    def reported(self, numbers: Iterable[int]) -> None:
        """Remove tasks that are reported; those that were taken meanwhile stay. May come from another thread."""
        for number in numbers:
            place = self._places.pop(number, None)
            if place is not None:  # a report may be sent again, if its first sending failed
                self._whole[place] = 0
                self._free.append(place)

    @property
    def handled(self) -> int:
        """The number of reports of the child that the worker has handled."""
        return int(self._whole[self._base + _HANDLED])

    def handle(self) -> None:
        """Note that one more is handled."""
        self._whole[self._base + _HANDLED] += 1

    @property
    def receiving(self) -> bool:
        """Whether the child may have received a task that it has not noted."""
        return bool(self._whole[self._base + _RECEIVING])

    @property
    def running(self) -> int:
        """The task that runs."""
        return int(self._whole[self._base + _RUNNING])

    @property
    def begun(self) -> int:
        """The running task, once the work on it has begun."""
        return int(self._whole[self._base + _BEGUN])

    @property
    def since(self) -> float:
        """When it began (monotonic)."""
        return float(self._real[self._base + _STARTED])

    @property
    def taken(self) -> list[int]:
        """The tasks taken and not reported, the running one included."""
        first = self._base + _FIRST
        return [number for number in self._whole[first : first + TAKEN].tolist() if number]

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
