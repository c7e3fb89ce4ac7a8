"""Autoscaling: Celery's own `Autoscaler`, or one of the application, over Capa's prefork pool."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.utils.imports import symbol_by_name
from celery.worker import components

from capa_celery._sdk import SDK
from capa_core.call.loggers import named_logger
from capa_core.shims import details

logger = named_logger("celery.worker.autoscale")


class AutoscaleStep(bootsteps.StartStopStep):  # type: ignore[misc] # celery is not typed
    """The step of `--autoscale`, after the pool: its thread must not exist when a pool forks."""

    name = "capa.Autoscaler"
    label = "Autoscaler"
    conditional = True
    requires = (components.Pool,)

    def __init__(self, w: Any, **options: Any) -> None:
        self.enabled = bool(w.autoscale)
        w.autoscaler = None
        super().__init__(w, **options)

    def create(self, w: Any) -> Any:
        """Return the thread that scales, of the class that `worker_autoscaler` names."""
        made = over_capa(symbol_by_name(w.autoscaler_cls))
        w.autoscaler = made(w.pool, w.max_concurrency, w.min_concurrency, worker=w)
        return w.autoscaler

    def info(self, w: Any) -> dict[str, Any]:
        """The figures that `inspect stats` shows."""
        return {"autoscaler": w.autoscaler.info()}


class OverCapa:
    """The part of an autoscaler of Celery that asks the worker: Capa's keeps no requests of the tasks it received."""

    pool: Any
    worker: Any
    mutex: Any
    max_concurrency: int

    @property
    def qty(self) -> int:
        """How many tasks run or wait for a process of this pool."""
        consumer = getattr(self.worker, "consumer", None)  # it is made after this
        return consumer.with_pool if consumer is not None else 0

    def on_jobs(self) -> None:
        """Scale at once, as tasks have come; if that fails, the thread tries again, and ends the worker if it fails."""
        try:
            note = getattr(self, "on_task_received", None)  # as of Celery 5.7
            if note is not None:
                note(None)
            if self.qty > self.pool.num_processes:
                with self.mutex:
                    self.maybe_scale()  # type: ignore[attr-defined] # of Celery's class
        except (
            Exception
        ):  # of the application's class: the tasks are with the pool, and must not come again for it
            logger.exception("the autoscaler failed as tasks came")

    def update(self, max: int | None = None, min: int | None = None) -> Any:  # noqa: A002 - Celery's names
        """Change the numbers.

        Raises:
            ValueError: The pool cannot have so many processes. Nothing was changed.
        """
        for number in (max, min):
            if number is not None:
                self.pool.check_number(number)
        return super().update(max=max, min=min)  # type: ignore[misc] # as above

    def _update_consumer_prefetch_count(self, new_max: int) -> None:
        self.worker.consumer.resized(new_max)


def over_capa(cls: type) -> type:
    """Return the autoscaler class *cls* as it serves Capa's worker."""
    return type(cls.__name__, (OverCapa, cls), {"__module__": cls.__module__})


def numbers_of(autoscale: Any) -> tuple[int, int]:
    """Return the largest and the smallest number of slots in `--autoscale=10,3`, or in the argument of a worker."""
    if isinstance(autoscale, str):
        autoscale = [int(part or 0) for part in autoscale.split(",")]
    numbers = [*autoscale, 0][:2]
    return max(numbers), max(1, min(numbers))


def warn_of_fixed(pool: str, slots: int) -> None:
    """Log that a *pool* of threads runs all its *slots* from the start."""
    logger.warning(
        "--autoscale has no effect in the pool %s, whose threads cost little: it runs %d slots all the time. Choose "
        "-P prefork to scale. %s",
        pool,
        slots,
        details(SDK, "autoscale"),
    )
