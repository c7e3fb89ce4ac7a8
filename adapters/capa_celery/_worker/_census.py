"""Jobs that nobody has, although their leases are renewed: a thread of the worker failed with them in its hands."""

from __future__ import annotations

import time
from collections.abc import Callable

from capa_celery._worker._jobs import Job

CENSUS_S = 5.0


class Census:
    """Finds jobs that are in none of the places of a job.

    A job on its way from one place to the next is in neither for a moment. So one that is missing is lost only if
    it is still missing in the next look.

    Args:
        jobs: Returns the jobs that are not settled.
        present: Returns the numbers of the jobs in all places; looks at these in the order in which jobs pass them.
    """

    def __init__(self, jobs: Callable[[], list[Job]], present: Callable[[], set[int]]) -> None:
        self._jobs = jobs
        self._present = present
        self._suspects: set[int] = set()
        self._next_look = time.monotonic() + CENSUS_S

    def find(self) -> list[Job]:
        """Return jobs that two looks, five seconds apart, have missed. Called again and again, by one thread."""
        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + CENSUS_S
        jobs = self._jobs()  # first: one that comes or is settled meanwhile is not missing
        present = self._present()
        missing = [job for job in jobs if job.number not in present]
        found = [job for job in missing if job.number in self._suspects]
        self._suspects = {job.number for job in missing}.difference(job.number for job in found)
        return found
