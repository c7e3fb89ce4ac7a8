"""Beat: Celery's scheduler with its last runs in Capa's state, and a lock so that one of several beats sends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery.apps.beat import Beat as CeleryBeat
from celery.beat import Scheduler as CeleryScheduler
from celery.worker import components

from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_core.blocks.lock import Held

logger = logging.getLogger("celery.beat")

REPLACED = frozenset({None, "celery.beat:PersistentScheduler", "celery.beat.PersistentScheduler"})
OURS = "capa_celery._beat:Scheduler"
LEASE_S = 30.0
STANDBY_S = 5.0
"""Seconds between two attempts of a waiting beat to acquire the lock."""


class Scheduler(CeleryScheduler):  # type: ignore[misc] # celery is not typed
    """Remembers in the state component when each entry ran last, so that a restart neither skips nor repeats.

    Of several beats of one application, the one that holds the lock sends, and another takes over when it is gone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._held: Held | None = None
        super().__init__(*args, **kwargs)
        # Stored after each task that was sent: a crash repeats one task at most.
        self.sync_every_tasks = 1

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send the tasks that are due and return in how many seconds to call again."""
        if not self._leads():
            return STANDBY_S
        seconds: float = super().tick(*args, **kwargs)
        return min(LEASE_S / 3, seconds)

    def sync(self) -> None:
        """Store when each entry ran last."""
        if self._held is None or self._held.lost.is_set():
            return
        runs = {
            name: [entry.last_run_at.isoformat(), entry.total_run_count]
            for name, entry in self.schedule.items()
        }
        self.app.capa.state.put_json(self._key, runs)

    def close(self) -> None:
        """Store the last runs and let another beat take over."""
        try:
            super().close()
        finally:
            held, self._held = self._held, None
            if held is not None and not held.lost.is_set():
                held.release()

    @property
    def info(self) -> str:
        """The line of the banner about the schedule."""
        return f"    . schedule -> {self.app.capa.backend_uri}"

    @property
    def _key(self) -> str:
        return f"celery-beat-{self.app.main or 'celery'}"

    def _leads(self) -> bool:
        if self._held is not None and not self._held.lost.is_set():
            return True
        try:
            self._held = self.app.capa.locks.lock(self._key, lease=LEASE_S).try_acquire()
            if self._held is not None:
                self._remember(self.app.capa.state.get_json(self._key) or {})
        except CapaError as error:
            logger.warning(
                "beat: lock or last runs could not be read, nothing was sent, trying again: %s", error
            )
            return False
        return self._held is not None

    def _remember(self, runs: Mapping[str, Any]) -> None:
        """Take over the last runs that this or another beat has stored."""
        for name in runs.keys() & self.schedule.keys():
            last_run, count = runs[name]
            entry = self.schedule[name]
            entry.last_run_at = datetime.fromisoformat(last_run).astimezone(self.app.timezone)
            entry.total_run_count = count
        self._heap = None


def scheduler_for(wanted: Any) -> Any:
    """Return the scheduler to use in place of *wanted*: Capa's in place of the one that keeps a file."""
    return OURS if wanted in REPLACED else wanted


class Beat(CeleryBeat):  # type: ignore[misc] # as above
    """`celery beat` as a program."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheduler_cls: Any = scheduler_for(vars(self)["scheduler_cls"])


class EmbeddedBeat(components.Beat):  # type: ignore[misc] # as above
    """The step of `celery worker -B`."""

    name = "capa.Beat"

    def create(self, w: Any) -> Any:
        """Return the service, which runs in a process of its own."""
        w.scheduler = scheduler_for(w.scheduler)
        return super().create(w)
