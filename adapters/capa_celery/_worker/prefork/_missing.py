"""Jobs that a child received and died with before it could note them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from capa_celery._worker._jobs import Job


class MissingJobs:
    """Finds the jobs that are neither with a child nor waiting for one.

    A child that was killed while it received may have had a job that nobody knows of, and a thread of the worker may
    have failed with one in its hands. Such a job is looked for twice:
    between the two looks, all reports must have been read that were sent before the first. What is missing both times
    is lost, since a child that lives notes a job as soon as it has received it.

    Args:
        present: Returns the numbers of the jobs that wait for a child or are with one; `None` if it cannot now.
        jobs: Returns the jobs that were handed to the children and are not settled.
        send_mark: Sends a number behind all reports that were sent by now; `False` if that cannot be done now.
    """

    def __init__(
        self,
        present: Callable[[], set[int] | None],
        jobs: Callable[[], list[Job]],
        send_mark: Callable[[int], bool],
    ) -> None:
        self._present = present
        self._jobs = jobs
        self._send_mark = send_mark
        self._marks = itertools.count(1)
        self._wanted = False
        self._suspects: set[int] | None = None
        self._sent = self._read = 0

    def look_soon(self) -> None:
        """Have `find` look. May come from any thread."""
        self._wanted = True

    def mark_read(self, mark: int) -> None:
        """Take note that all reports before *mark* were read. May come from any thread."""
        self._read = mark

    def find(self) -> list[Job]:
        """Return jobs that are surely missing. Called again and again, by one thread."""
        if self._suspects is None:
            self._suspect()
            return []
        if self._read < self._sent:
            return []
        missing = self._missing()
        if missing is None:
            return []
        suspects, self._suspects = self._suspects, None
        return [job for job in missing if job.number in suspects]

    def _suspect(self) -> None:
        if not self._wanted:
            return
        self._wanted = False
        missing = self._missing()
        mark = next(self._marks)
        if missing is None or not self._send_mark(mark):
            self._wanted = True
            return
        self._suspects, self._sent = {job.number for job in missing}, mark

    def _missing(self) -> list[Job] | None:
        # The jobs first: one that is handed over or settled in between is not missing.
        jobs = self._jobs()
        present = self._present()
        return None if present is None else [job for job in jobs if job.number not in present]
