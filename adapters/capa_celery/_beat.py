"""Beat: Celery's scheduler with its last runs in Capa's state, and a lock so that one of several beats sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery.beat import Scheduler as CeleryScheduler

from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_core.blocks.lock import Held

logger = named_logger("celery.beat")

LEASE_S = 30.0
STANDBY_S = 5.0
"""Seconds between two attempts of a waiting beat to acquire the lock."""


class Scheduler(CeleryScheduler):  # type: ignore[misc] # celery is not typed
    """Remembers in the state component when each entry ran last, so that a restart neither skips nor repeats.

    Of several beats of one application, the one that holds the lock sends, and another takes over when it is gone.
    """

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        self._held: Held | None = None
        app.capa.check_served(beat=True)
        super().__init__(app, *args, **kwargs)
        # Stored after each task that was sent: a crash repeats one task at most.
        self.sync_every_tasks = 1

    def setup_schedule(self) -> None:
        """Read the schedule, as beat does when it starts."""
        self.app.capa.tell_places()
        super().setup_schedule()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send the tasks that are due and return in how many seconds to call again."""
        if not self._leads():
            return min(STANDBY_S, float(self.max_interval))
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
        """The lines of the banner about the schedule, and about the components of beat."""
        served = self.app.capa
        return (
            f"    . schedule -> {served.backend_uri} ({served.state.place})\n"
            f"    . tasks -> {served.pubsub.place}\n"
            f"    . lock -> {served.locks.place}"
        )

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
