"""The `[adapters.celery]` table of capa.toml."""

from __future__ import annotations

from pydantic import Field

from capa_core.shims.settings import AdapterSettings

NAME = "celery"
"""The logical name of queues, results, schedule and locks where no legacy address says another."""


class CelerySettings(AdapterSettings):
    """What an application may tune; none of it changes what its code says.

    With the `side` `legacy`, Celery's own broker transport, result backend, worker and beat serve the application,
    on the addresses of its own settings.

    Attributes:
        lease_s: Seconds after which the tasks of a killed worker come back. A running task of any length keeps
            its lease, so this need not be longer than the longest task.
        early_acks: Take `acks_late=False` at its word: such a task is gone from its queue before it starts, so
            it runs at most once, and is lost if its worker dies.
        max_worker_losses: How many times a task may take its worker process down before it is marked as failed
            with `WorkerLostError`, so that one bad task cannot kill processes for ever.
    """

    lease_s: float = Field(default=30.0, ge=1, le=43_200)
    early_acks: bool = False
    max_worker_losses: int = Field(default=3, ge=1)
