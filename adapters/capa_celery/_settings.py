"""The `[adapters.celery]` table of capa.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capa_core.shims.settings import AdapterSettings

NAME = "celery"
"""The logical name of queues, results, schedule and locks where no legacy address names another."""


class CelerySettings(AdapterSettings):
    """Settings of an application on Capa; none of them changes the meaning of its code.

    With the `side` `legacy`, Celery's own broker transport, result backend, worker and beat serve the application,
    on the addresses of its own settings.

    Attributes:
        lease_s: Seconds after which the tasks of a killed worker come back. A running task of any length keeps
            its lease, so this need not be longer than the longest task.
        early_acks: Obey `acks_late=False`: such a task is removed from its queue before it starts, so
            it runs at most once, and is lost if its worker dies.
        wire: The layout of queues, results, control and events. With `celery` it is Celery's own, on the addresses of
            the components: Celery's workers and clients share them (docs/how-to/move-a-celery-fleet.md). On one
            Redis server.
        max_worker_losses: How many times a task may take its process down before it is marked as failed with
            `WorkerLostError` and becomes a dead letter, so that one bad task cannot kill processes without end.
            With 1, the beginning of each task costs a request to the state component, and its end another.
    """

    lease_s: float = Field(default=30.0, ge=1, le=43_200)
    early_acks: bool = False
    wire: Literal["capa", "celery"] = "capa"
    max_worker_losses: int = Field(default=3, ge=1)
