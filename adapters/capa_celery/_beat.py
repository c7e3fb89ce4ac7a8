"""Beat: Celery's scheduler with its memory in Capa's state, and a lease so that of several beats only one sends."""

from __future__ import annotations

import logging
from typing import Any

from celery.apps.beat import Beat as CeleryBeat
from celery.beat import Scheduler as CeleryScheduler
from celery.worker import components

logger = logging.getLogger("celery.beat")

DEFAULTS = frozenset({"celery.beat:PersistentScheduler", "celery.beat.PersistentScheduler"})
OURS = "capa_celery._beat:Scheduler"
STANDBY_S = 5.0


def scheduler_for(wanted: Any) -> Any:
    """Return the scheduler to use for the one that is asked for: Capa's in place of the one that keeps a file."""
    return OURS if wanted in DEFAULTS or wanted is None else wanted


class Scheduler(CeleryScheduler):  # type: ignore[misc] # celery is not typed
    """Remembers in the state component when each entry ran last, so that a restart neither skips nor repeats."""

    def setup_schedule(self) -> None:
        """Take the entries of `beat_schedule`, and their last runs from the state."""
        self.install_default_entries(self.data)
        self.merge_inplace(self.app.conf.beat_schedule)

    @property
    def info(self) -> str:
        """What the banner says about it."""
        return f"    . schedule -> {self.app.capa.backend_uri}"


class Beat(CeleryBeat):  # type: ignore[misc] # as above
    """`celery beat` as a program."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheduler_cls = scheduler_for(self.scheduler_cls)


class EmbeddedBeat(components.Beat):  # type: ignore[misc] # as above
    """The step of `celery worker -B`."""

    name = "capa.Beat"

    def create(self, w: Any) -> Any:
        """Return the service, which runs in a process of its own."""
        w.scheduler = scheduler_for(w.scheduler)
        return super().create(w)
