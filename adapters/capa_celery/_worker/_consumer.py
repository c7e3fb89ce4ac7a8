"""The worker's consumer: intakes in front of a pool, in the place of Celery's consumer."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.worker import state

from capa_celery._queues import GROUP, topic_of
from capa_celery._revoked import RevocationWatch
from capa_celery._worker._intake import LONGEST_PAUSE_S, Intake
from capa_celery._worker._jobs import Jobs, Window
from capa_celery._worker._pool import Pool
from capa_celery._worker._stall import StallWatch
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_celery import Celery

logger = logging.getLogger("celery.capa.worker")


class Consumer:
    """Receives from the selected queues until the worker is told to stop. Signals name it as their sender."""

    connection = None
    task_consumer = None
    pool = None
    """None of Celery's own: its signal handlers leave the pool to the main thread then."""

    def __init__(
        self, app: Celery, worker: Any, pool: Pool, *, multiplier: int, ready: Callable[[Any], object]
    ) -> None:
        self.app = app
        self.controller = worker
        self.hostname = worker.hostname
        self.timer = worker.timer
        self._pool = pool
        self._ready = ready
        self._window = Window(pool.options.slots, multiplier)
        self.jobs = pool.jobs = Jobs(app.capa.settings.lease_s, self._window.settled)
        self._revoked = RevocationWatch(app)
        self._stall = StallWatch(pool, self.jobs, self._window)
        self._intakes: list[Intake] = []
        self._running = False

    def start(self) -> None:
        """Serve until `celery.worker.state` says that the worker shall stop.

        Raises:
            WorkerShutdown: (celery's) It shall stop when its tasks are done.
            WorkerTerminate: (celery's) It shall stop at once.
        """
        for queue in self.app.amqp.queues.consume_from.values():
            topic = topic_of(queue)
            join = partial(
                self.app.capa.pubsub.consumer,
                topic.name,
                GROUP,
                lease=self.app.capa.settings.lease_s,
                raw=True,
                broadcast=topic.broadcast,
            )
            self._intakes.append(Intake(queue.name, join, self.jobs, self._window, self._pool.put))
        for intake in self._intakes:
            self._open(intake)
        self._running = True
        self._revoked.look()
        self.jobs.start()
        self._stall.start()
        self._revoked.start()
        for intake in self._intakes:
            intake.start()
        self._ready(self)
        self._pool.supervise(_shall_stop)
        state.maybe_shutdown()

    def _open(self, intake: Intake) -> None:
        """Join the group of a queue, trying again as Celery's settings say when the broker is away."""
        conf = self.app.conf
        on_startup = conf.get("broker_connection_retry_on_startup")
        patient = conf.broker_connection_retry if on_startup is None else on_startup
        for attempt in itertools.count(1):
            try:
                intake.open()
            except CapaError as error:
                if not (error.retryable and patient) or attempt == conf.broker_connection_max_retries:
                    raise
                logger.warning("cannot join queue %s, trying again: %s", intake.queue, error)
                time.sleep(min(2.0 * attempt, LONGEST_PAUSE_S))
                state.maybe_shutdown()
            else:
                return

    def close(self) -> None:
        """Celery's first step of stopping; the work is in `stop`."""

    def stop(self) -> None:
        """Receive no more, hand back what was not begun, and finish what was."""
        self._end(self._pool.drain)

    def terminate(self) -> None:
        """Receive no more, and have everything that is not finished come again now."""
        self._end(self._pool.abandon)

    def shutdown(self) -> None:
        """Celery's last step of stopping; the work is in `stop`."""

    def cancel_active_requests(self) -> None:
        """Do nothing here, inside a signal handler: `terminate` hands back what runs."""

    def _end(self, finish: Callable[[], None]) -> None:
        if not self._running:
            return
        self._running = False
        for intake in self._intakes:
            intake.stop()
        self._stall.stop()
        self._revoked.stop()
        self.jobs.release(self._pool.take_back())
        finish()
        self.jobs.release(self.jobs.all())
        self.jobs.stop()
        for intake in self._intakes:
            intake.close()


def _shall_stop() -> bool:
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))
