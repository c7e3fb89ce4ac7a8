"""Jobs behind the guard: read at once, and changed by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from capa_core.blocks.schedule.driver import Job, ScheduleDriver
from capa_core.call import Guard
from capa_core.errors import NotFoundError


class JobStore:
    """The jobs of one component."""

    def __init__(self, driver: ScheduleDriver[Any], guard: Guard) -> None:
        self.driver = driver
        self._guard = guard

    def read(self, names: Sequence[str]) -> list[Job | None]:
        """Return each job in the order of *names*, `None` where there is none.

        Raises:
            DataLossError: One cannot be read.
        """
        found = self._guard.safe("read", self.driver.read, names)
        return [None if stored is None else stored.job for stored in found]

    def names(self) -> Iterator[str]:
        """Yield the name of each job."""
        yield from self._guard.each("names", self.driver.names)

    def remove(self, name: str) -> bool:
        """Remove a job and return whether there was one; a repeat after a lost answer returns `False`."""
        return self._guard.safe("remove", self.driver.remove, name)

    def change(self, name: str, change: Callable[[Job], Job]) -> Job:
        """Store and return what *change* makes of a job, as often as others come before.

        Args:
            change: Returns the same object for no change. Applied to a job that has the change already, it must make
                none: it is repeated after a lost answer.

        Raises:
            NotFoundError: There is no such job.
        """

        def existing(job: Job | None) -> Job:
            if job is None:
                raise self.missing(name)
            return change(job)

        return self.make(name, existing)

    def make(self, name: str, change: Callable[[Job | None], Job]) -> Job:
        """As `change`, with `None` for a job that is not there yet."""
        return self._guard.safe("change", self._changed, name, change)

    def missing(self, name: str) -> NotFoundError:
        """Return the error for a job that is not there."""
        return NotFoundError(
            f"schedule {self._guard.name!r} has no job {name!r}. `jobs` yields those there are, once a process that"
            " registers them has started."
        )

    def _changed(self, name: str, change: Callable[[Job | None], Job]) -> Job:
        while True:
            (stored,) = self.driver.read([name])
            job, version = (stored.job, stored.version) if stored else (None, "")
            new = change(job)
            if new is job or self.driver.write(new, version) is not None:
                return new
