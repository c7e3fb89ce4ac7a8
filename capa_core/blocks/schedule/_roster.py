"""The jobs of this process, behind the lock that the application, the leader and the runs share."""

from __future__ import annotations

import threading

from capa_core.blocks.schedule._served import Served


class Roster:
    """Jobs by name. Safe for many threads.

    Attributes:
        changed: Guards the jobs and all that is in them, and tells waiters of changes.
        is_stopping: Whether no more runs are to begin.
    """

    def __init__(self) -> None:
        self._served: dict[str, Served] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Keep the handlers alone: locks and runs are those of the parent of this forked child."""
        self.changed = threading.Condition()
        self.is_stopping = False
        self._is_woken = False
        for one in self._served.values():
            one.forget()

    def add(self, one: Served) -> bool:
        """Serve a job from now on; return false if there is one of its name."""
        with self.changed:
            if one.name in self._served:
                return False
            self._served[one.name] = one
            self.wake()
            return True

    def all(self) -> list[Served]:
        """Return the jobs."""
        with self.changed:
            return list(self._served.values())

    def get(self, name: str) -> Served | None:
        """Return a job; `None` if it is not served."""
        with self.changed:
            return self._served.get(name)

    def begin_to_leave(self, one: Served) -> bool:
        """Let no more runs of a job begin, and tell those that run; return whether it is served."""
        with self.changed:
            if not self.holds(one):
                return False
            one.is_leaving = True
            one.stop_runs()
            self.wake()
            return True

    def holds(self, one: Served) -> bool:
        """Return whether *one* is still served."""
        with self.changed:
            return self._served.get(one.name) is one

    def remove(self, one: Served) -> None:
        """Serve a job no longer."""
        with self.changed:
            self._served.pop(one.name, None)
            self.changed.notify_all()

    def wait_until_removed(self, one: Served, timeout_s: float | None) -> None:
        """Wait until a job is served no longer."""
        with self.changed:
            self.changed.wait_for(lambda: not self.holds(one), timeout_s)

    def clear(self) -> list[Served]:
        """Serve no jobs, and return those that there were."""
        with self.changed:
            served = list(self._served.values())
            self._served.clear()
            self.changed.notify_all()
            return served

    def stop(self) -> None:
        """Let no more runs begin, and tell those that run."""
        with self.changed:
            self.is_stopping = True
            for one in self._served.values():
                one.stop_runs()
            self.wake()

    def all_are_done(self) -> bool:
        """Return whether nothing is left to do for any job."""
        with self.changed:
            return all(one.is_done() for one in self._served.values())

    def wake(self) -> None:
        """End the rest of the leader."""
        with self.changed:
            self._is_woken = True
            self.changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Wait until somebody calls `wake`, for at most *seconds*; at once if it was called since the last rest."""
        with self.changed:
            self.changed.wait_for(lambda: self._is_woken, seconds)
            self._is_woken = False
