"""Celery's `WorkController` with Capa's consumer and pools in its blueprint."""

from __future__ import annotations

import threading
from typing import Any

from celery import bootsteps
from celery._state import _set_task_join_will_block
from celery.beat import PersistentScheduler
from celery.utils.imports import symbol_by_name
from celery.worker import WorkController as CeleryWorkController
from celery.worker import components
from celery.worker.autoscale import WorkerComponent

from capa_celery._errors import clean_exit_of_commands, unsupported
from capa_celery._worker._autoscale import AutoscaleStep, numbers_of, warn_of_fixed
from capa_celery._worker._consumer import Consumer
from capa_celery._worker._embedded_beat import EmbeddedBeat
from capa_celery._worker._events import HEARTBEAT_S
from capa_celery._worker._pool import LOOK_S, Pool, PoolOptions
from capa_celery._worker._without_effect import warn_of_options, warn_of_settings
from capa_core.call.loggers import named_logger
from capa_core.runtime import default_runtime, pin_runtime

logger = named_logger("celery.worker")  # Celery's own, for the errors that end a worker


class PoolStep(bootsteps.StartStopStep):  # type: ignore[misc] # celery is not typed
    """The step that makes the pool, before any thread starts, since a pool may fork."""

    name = "capa.Pool"
    requires = (components.Timer,)

    def __init__(self, w: Any, autoscale: Any = None, **_: Any) -> None:
        w.pool = w.autoscale = w.max_concurrency = None
        self._type = pool_type(w.pool_cls)
        name = self._type.implementation.rpartition(":")[2]
        if autoscale:
            most, fewest = numbers_of(autoscale)
            if self._type.scales:
                w.autoscale, w.max_concurrency, w.concurrency = (most, fewest), most, fewest
            else:
                w.concurrency = most
                warn_of_fixed(name, most)
        if not self._type.has_processes:
            warn_of_options(w, name)
        w.min_concurrency = w.concurrency

    def create(self, w: Any) -> Any:
        """Return the pool that `-P` names."""
        w.pool = self._type(
            PoolOptions(
                app=w.app,
                hostname=w.hostname,
                slots=w.concurrency,
                most_slots=w.max_concurrency,
                time_limit=w.time_limit,
                soft_time_limit=w.soft_time_limit,
                max_tasks_per_child=w.max_tasks_per_child,
                max_memory_per_child=w.max_memory_per_child,
                sender=lambda: w.consumer,
                events=lambda: w.consumer.event_dispatcher,
                task_events=w.task_events,
            )
        )
        # A task must not wait for another, which may wait for the slot of the first.
        _set_task_join_will_block(True)
        return w.pool

    def stop(self, w: Any) -> None:
        """Leave it to the consumer, which stops the pool between receiving and leaving its queues."""

    terminate = stop

    def info(self, w: Any) -> dict[str, Any]:
        """The figures that `inspect stats` shows."""
        return {"pool": w.pool.info if w.pool else "N/A"}


class ConsumerStep(bootsteps.StartStopStep):  # type: ignore[misc] # as above
    """The last step: it runs the consumer, and only returns when the worker stops."""

    name = "capa.Consumer"
    requires = (PoolStep,)
    last = True

    def __init__(
        self,
        w: Any,
        without_heartbeat: bool = False,
        heartbeat_interval: float | None = None,
        without_mingle: bool = False,
        **options: Any,
    ) -> None:
        self._mingles = not without_mingle
        self._heartbeat_s = None if without_heartbeat else float(heartbeat_interval or HEARTBEAT_S)
        super().__init__(w, **options)

    def create(self, w: Any) -> Consumer:
        """Return the consumer."""
        consumer = w.consumer = Consumer(
            w.app,
            w,
            w.pool,
            multiplier=w.prefetch_multiplier,
            ready=w.ready_callback,
            task_events=w.task_events,
            heartbeat_s=self._heartbeat_s,
            mingles=self._mingles,
        )
        return consumer

    def info(self, w: Any) -> dict[str, Any]:
        """The figures that `inspect stats` shows in addition to those of the pool."""
        broker = w.app.connection_for_read().info()
        broker.pop("password", None)
        return {"broker": broker, "prefetch_count": w.consumer.prefetch_count}


_SCHEDULER = f"{PersistentScheduler.__module__}.{PersistentScheduler.__qualname__}"


class BeatStep(components.Beat):  # type: ignore[misc] # as above
    """The step of `-B`, after the pool: its thread must not exist when a pool forks."""

    name = "capa.Beat"
    requires = (PoolStep,)

    def create(self, w: Any) -> EmbeddedBeat:
        """Return the thread that sends tasks when they are due."""
        beat = w.beat = EmbeddedBeat(w.app, schedule_filename=w.schedule_filename, scheduler_cls=w.scheduler)
        return beat


REPLACED = {
    components.Pool: PoolStep,
    components.Consumer: ConsumerStep,
    components.Beat: BeatStep,
    WorkerComponent: AutoscaleStep,
}
"""Steps of Celery that an application's own steps may require, and their replacements."""


class WorkController(CeleryWorkController):  # type: ignore[misc] # as above
    """A worker of an application that Capa serves; made through `capa_celery._substitutes` by any code.

    Attributes:
        waits_for_broker: Whether it starts while the broker is away, as far as Celery's settings allow, and waits.
        failure: What ended it, if that was an error.
        ended: Set when `start` has returned.
    """

    waits_for_broker = True
    failure: BaseException | None = None

    class Blueprint(bootsteps.Blueprint):  # type: ignore[misc] # as above
        """The steps of the worker. An application's own steps for `app.steps["worker"]` are served."""

        name = "Worker"
        default_steps = frozenset(
            {components.Timer, components.StateDB, BeatStep, PoolStep, AutoscaleStep, ConsumerStep}
        )

        def start(self, parent: Any) -> None:
            """Start the steps; the last one returns when the worker stops."""
            try:
                super().start(parent)
            except BaseException as error:  # which Celery logs and turns into an exit code
                parent.failure = error
                raise

        def _firstpass(self, steps: Any) -> None:
            for step in steps.values():
                required = [symbol_by_name(dependency) for dependency in step.requires]
                step.requires = [REPLACED.get(dependency, dependency) for dependency in required]
            super()._firstpass(steps)

    def setup_instance(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the worker.

        Raises:
            UnsupportedError: The application adds steps to Celery's consumer, which is not there, or names a pool that
                is not served.
            InvalidArgumentError: The rate limit of a task is no rate.
            SettingsError: Nothing serves the tasks, their results or the lock of beat.
        """
        with clean_exit_of_commands():
            self._check_served(own_beat=bool(kwargs.get("beat")) and _is_celerys_own(self.scheduler))
            warn_of_settings(self)
            self.runtime = default_runtime()
            self.ended = threading.Event()
            super().setup_instance(*args, **kwargs)

    def _check_served(self, *, own_beat: bool) -> None:
        if self.app.steps["consumer"]:
            raise unsupported(
                f"app.steps['consumer'] ({sorted(map(str, self.app.steps['consumer']))})",
                instead="Add the step to app.steps['worker'], or consume in a process of its own.",
                section="bootsteps",
            )
        self.app.capa.check_served(beat=own_beat)

    def start(self) -> None:
        """Serve until the worker is stopped. All its threads keep to the runtime that was the default at its making."""
        try:
            with pin_runtime(self.runtime):
                self.app.capa.tell_places()
                super().start()
        finally:
            self.ended.set()

    def reload(self, modules: Any = None, reload: bool = False, reloader: Any = None) -> None:
        """Import *modules*. Tasks that came since the start need nothing more, but children of prefork lack them."""
        list(self._reload_modules(modules, force_reload=reload, reloader=reloader))

    def stats(self) -> dict[str, Any]:
        """The figures that `inspect stats` shows."""
        return {**self.info(), **self.blueprint.info(self), "rusage": self.rusage()}

    def on_stopped(self) -> None:
        """Release the process file."""
        if self.timer:
            self.timer.stop()
        if self.pidlock:
            self.pidlock.release()

    def wait_for_soft_shutdown(self) -> None:
        """Give the tasks their `worker_soft_shutdown_timeout` before they are abandoned."""
        timeout_s = self.app.conf.worker_soft_shutdown_timeout
        if timeout_s > 0 and len(self.consumer.jobs):
            logger.warning("Initiating Soft Shutdown, terminating in %s seconds", timeout_s)
            self.consumer.finish_tasks(timeout_s)


def _is_celerys_own(scheduler: Any) -> bool:
    """Return whether *scheduler* is the class, or its name, that Capa's scheduler replaces."""
    return scheduler is PersistentScheduler or str(scheduler).replace(":", ".") == _SCHEDULER


def ensure_started(worker: Any) -> None:
    """Return when a worker is ready that sets `_on_started` then, as Celery's `TestWorkController` does.

    Raises:
        RuntimeError: It ended before, with the error that it ended with as the cause.
    """
    while not worker._on_started.wait(LOOK_S / 10):
        if worker.ended.is_set():
            raise RuntimeError(
                f"the worker {worker.hostname} ended before it was ready: {worker.failure!r}"
            ) from worker.failure


def pool_type(wanted: Any) -> type[Pool]:
    """Return Capa's pool for the class of Celery's that the command line chose.

    Raises:
        UnsupportedError: There is none for it.
    """
    module = wanted.__module__ if isinstance(wanted, type) else str(wanted)
    match module.rpartition(".")[2]:
        case "solo":
            from capa_celery._worker._local import SoloPool

            return SoloPool
        case "thread":
            from capa_celery._worker._local import ThreadPool

            return ThreadPool
        case "prefork":
            from capa_celery._worker.prefork import PreforkPool

            return PreforkPool
    raise unsupported(f"The pool {module!r}", instead="Choose -P prefork, threads or solo.", section="pools")
