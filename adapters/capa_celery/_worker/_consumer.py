"""The worker's consumer: intakes in front of a pool, in place of Celery's own consumer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.bootsteps import RUN
from celery.exceptions import WorkerTerminate
from celery.worker import state
from kombu import Queue

from capa_celery._mixed._broker import declare as declare_for_fleet
from capa_celery._mixed._neighbours import meet
from capa_celery._queues import declare, topic_of
from capa_celery._revoked import RevocationWatch
from capa_celery._worker._events import TASK, EventSender
from capa_celery._worker._face import ConsumerForCommands
from capa_celery._worker._jobs import Job, Jobs, Window
from capa_celery._worker._pool import LOOK_S, Pool
from capa_celery._worker._rate_limits import RateLimits
from capa_celery._worker._remote import RemoteControl
from capa_celery._worker._stall import StallWatch
from capa_core.blocks.pubsub import Intake, Message
from capa_core.call.loggers import named_logger
from capa_core.runtime import pin_runtime
from capa_kombu.over_pubsub import GROUP, Topology

if TYPE_CHECKING:
    from capa_celery import Celery

logger = named_logger("celery.capa.worker")

LONGEST_PAUSE_S = 10.0
LISTENING_S = 5.0
"""Seconds after which a worker begins that cannot receive commands yet, as its log says."""


class Consumer:
    """A consumer of the selected queues until the worker stops. Signals name it as their sender.

    The thread that calls `start` also ends the pool that it started, whichever thread calls `stop` or `terminate`: the
    kernel kills processes that were forked to die with their parent as soon as that thread ends.
    """

    connection = None
    task_consumer = None
    pool = None
    """`None`, so that Celery's signal handlers leave the pool to the main thread."""

    def __init__(
        self,
        app: Celery,
        worker: Any,
        pool: Pool,
        *,
        multiplier: int,
        ready: Callable[[Any], object],
        task_events: bool = False,
        heartbeat_s: float | None = None,
        mingles: bool = True,
    ) -> None:
        self.app = app
        self.controller = worker
        self.hostname = worker.hostname
        self.timer = worker.timer
        self._pool = pool
        self._ready = ready
        self._mingles = mingles
        self._window = Window(worker.max_concurrency or pool.options.slots, multiplier)
        self.jobs = pool.jobs = Jobs(self._on_settled)
        self._revoked = RevocationWatch(app)
        self._limits = RateLimits(
            {} if worker.disable_rate_limits else app.tasks, pool.name_of, self._start_limited, self._has_room
        )
        self._stall = StallWatch(pool, self.jobs, self._window, self._take_back)
        self._intakes: dict[str, Intake] = {}
        self._queues: dict[str, Queue] = {}
        self._left: list[Intake] = []
        self._events = EventSender(
            app,
            worker.hostname,
            groups=None if task_events else ["worker"],
            heartbeat_s=heartbeat_s,
            figures=self._figures,
        )
        self.event_dispatcher = self._events.dispatcher
        self.for_commands = ConsumerForCommands(self)
        self._remote = RemoteControl(self, self._on_exit) if app.conf.worker_enable_remote_control else None
        self._exit: SystemExit | None = None
        self._server: threading.Thread | None = None
        self.listening = threading.Event()
        """Set when commands are received."""
        self._finish: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()

    def start(self) -> None:
        """Serve until `stop` or `terminate` is called, or `celery.worker.state` asks the worker to stop.

        Raises:
            WorkerShutdown: (celery's) It was asked to stop when its tasks are done.
            WorkerTerminate: (celery's) It was asked to stop at once.
            SystemExit: A command asked for it.
        """
        self._server = threading.current_thread()
        try:
            if self._begin():
                self._ready(self)
                self._pool.supervise(self._shall_stop)
        finally:
            self._server = None
            if self._finish is not None:
                self._take_down(self._finish)
        state.maybe_shutdown()
        if self._exit is not None:
            raise self._exit

    def _begin(self) -> bool:
        """Join the groups of the queues and begin to receive; return `False` if it was stopped before."""
        with self._lock:
            if self.controller.blueprint.state != RUN:
                # Stopped while an earlier step started: Celery does not stop the later ones then.
                self._finish = self._finish or self._pool.drain
            if self._finish is not None:
                return False
            for queue in self.app.amqp.queues.consume_from.values():
                intake = self._open(queue)
                if intake is None:
                    return False
                self._intakes[queue.name] = intake
                self._queues[queue.name] = queue
            self._revoked.look()
            if self._mingles and self.app.capa.is_mixed:
                meet(self.app, self.hostname)
            self._stall.start()
            self._limits.start()
            self._revoked.start()
            for name, intake in self._intakes.items():
                intake.start(self._room, partial(self._take, name, intake))
            self._events.start()
            if self._remote is not None:
                self._remote.start()
                self.listening.wait(LISTENING_S)  # a worker that is ready answers
            return True

    def _open(self, queue: Queue) -> Intake | None:
        """Join the group of a queue, trying again as Celery's settings allow while the broker is away.

        Returns `None` if the worker was stopped before the broker was back.
        """
        conf = self.app.conf
        on_startup = conf.get("broker_connection_retry_on_startup")
        patient = conf.broker_connection_retry if on_startup is None else on_startup
        patient = patient and self.controller.waits_for_broker
        attempt = 0
        while self._finish is None:
            attempt += 1
            try:
                return self._join(queue)
            except self.app.capa.passing_errors as error:
                if (
                    not (getattr(error, "retryable", True) and patient)
                    or attempt == conf.broker_connection_max_retries
                ):
                    raise
                logger.warning("cannot join queue %s, trying again: %s", queue.name, error)
                self._pause(min(2.0 * attempt, LONGEST_PAUSE_S))
                state.maybe_shutdown()
        return None

    def _join(self, queue: Queue) -> Intake:
        topic = topic_of(queue)
        if self.app.capa.is_mixed:
            declare_for_fleet(self.app, queue)
        else:
            declare(queue, Topology(self.app.capa.state))
        return self.app.capa.queues.intake(
            topic.name,
            "default" if topic.broadcast else GROUP,  # each consumer of a broadcast has a group of its own
            lease=self.app.capa.settings.lease_s,
            raw=True,
            broadcast=topic.broadcast,
            worked_on=self._worked_on,
            on_lost=self._on_lost,
        )

    def _room(self) -> int:
        """Return how many more jobs the window allows; those settled but not accepted by the broker count too."""
        if not self._pool.takes_jobs():
            return 0
        received = max(len(self.jobs), sum(map(len, self._intakes.values())))
        return self._window.size() - received + len(self._limits)

    @property
    def with_pool(self) -> int:
        """How many jobs run or wait for a slot: those that wait for their rate limit are left out."""
        return len(self.jobs) - len(self._limits)

    def _has_room(self) -> bool:
        return self._pool.takes_jobs() and self.with_pool < self._window.size()

    def _take(self, queue: str, intake: Intake, messages: list[Message]) -> None:
        """Hand messages that an intake received to the pool, or have them wait for their rate limit."""
        if self.with_pool <= 0:
            self._window.begin()
        self._admit([Job(message, intake, queue) for message in messages])

    def _admit(self, jobs: list[Job]) -> None:
        """Hand jobs to the pool as their rate limits allow; if that fails, they are nobody's, as in `_put`."""
        try:
            self.jobs.add(jobs)
            now, later = self._limits.admit(jobs)
            with pin_runtime(self.controller.runtime):
                for delay_s, waiting in later.items():
                    self._pool.not_begun(waiting)
                    self.jobs.put_off(waiting, delay_s)
            self._put(now)
        except BaseException:
            self.jobs.forget(jobs)
            self._limits.take_back(set(jobs).__contains__)
            raise
        if self.controller.autoscaler is not None:
            self.controller.autoscaler.on_jobs()

    def _start_limited(self, job: Job) -> None:
        if self.jobs.get(job.number) is not None:  # it was not settled meanwhile, as by a command
            self._put([job])

    def _take_back(self) -> list[Job]:
        """Return the jobs that were not begun; none of them will be."""
        jobs = self._pool.take_back()  # first: it makes room for one that is on its way to the pool
        return jobs + self._limits.take_back()

    def _put(self, jobs: list[Job]) -> None:
        """Hand jobs to the pool; if that fails, they are nobody's, and come again after their lease at the latest."""
        try:
            with pin_runtime(self.controller.runtime):
                self._pool.put(jobs)
        except BaseException:
            self.jobs.forget(jobs)
            raise

    def _on_settled(self, count: int) -> None:
        self._window.settled(count)
        self._limits.wake()
        for intake in self._intakes.values():
            intake.wake()

    def _worked_on(self, held: Sequence[Message]) -> Sequence[Message]:
        """Return the messages whose leases to renew: those of jobs, while a process or thread is left to run them."""
        if not self._pool.is_alive():
            return ()
        known = {job.message for job in self.jobs.all()}
        return [message for message in held if message in known]

    def _on_lost(self, messages: Sequence[Message]) -> None:
        """Keep the pool from beginning jobs that other workers have by now; those that run go on."""
        lost = self.jobs.of(messages)
        waiting = self._pool.take_back()
        self.jobs.forget(self._limits.take_back(set(lost).__contains__))
        self.jobs.forget(job for job in waiting if job in lost)
        self._put([job for job in waiting if job not in lost])

    # For control commands

    @property
    def queues(self) -> list[Queue]:
        """The queues that it consumes now."""
        return list(self._queues.values())

    @property
    def served_pool(self) -> Pool:
        """The pool; `pool` is for Celery's signal handlers."""
        return self._pool

    @property
    def sends_task_events(self) -> bool:
        """Whether events of tasks are sent."""
        groups = self.event_dispatcher.groups
        return not groups or TASK in groups

    @property
    def prefetch_count(self) -> int:
        """How many tasks it may hold now."""
        return self._window.size()

    def add_queue(self, queue: Queue) -> None:
        """Consume one more queue.

        Raises:
            UnavailableError: The broker did not answer. The queue is not consumed.
        """
        intake = self._join(queue)
        self._intakes = {
            **self._intakes,
            queue.name: intake,
        }  # another: other threads look through the present one
        self._queues = {**self._queues, queue.name: queue}
        intake.start(self._room, partial(self._take, queue.name, intake))
        logger.info("started consuming from %s", queue.name)

    def cancel_queue(self, name: str) -> None:
        """Consume a queue no more: its tasks that wait here go back, those that run are settled as ever."""
        intake = self._intakes.get(name)
        if intake is None:
            return
        intake.stop()
        self._left.append(intake)
        self._intakes = {key: each for key, each in self._intakes.items() if key != name}
        self._queues = {key: each for key, each in self._queues.items() if key != name}
        intake.join()
        waiting = self._pool.take_back()
        waiting += self._limits.take_back(lambda job: job.intake is intake)
        self.jobs.release(job for job in waiting if job.intake is intake)
        self._put([job for job in waiting if job.intake is not intake])
        logger.info("stopped consuming from %s", name)

    def reconsider(self) -> None:
        """Look again at the tasks that wait here, some of which may be revoked now."""
        self._admit(self._limits.take_back())
        self._put(self._pool.take_back())

    def reset_rate_limits(self) -> None:
        """Apply the rate limits that the tasks have now, also to those that wait for their turn.

        Raises:
            InvalidArgumentError: One of them is no rate. The limits are the earlier ones.
        """
        self._admit(self._limits.reset())

    def resized(self, slots: int) -> None:
        """Take note that the pool has *slots* slots now."""
        self._window.slots = slots

    def _figures(self) -> dict[str, Any]:
        """Return the figures of a heartbeat."""
        return {"active": len(self._pool.running()), "processed": state.all_total_count[0]}

    def _on_exit(self, leaving: SystemExit) -> None:
        """End as a command asks: at once for `WorkerTerminate`, else when the tasks that run have ended."""
        self._exit = leaving
        if isinstance(leaving, WorkerTerminate):
            self.terminate()
        else:
            self.stop()

    def _pause(self, length_s: float) -> None:
        end = time.monotonic() + length_s
        while time.monotonic() < end and not self._shall_stop():
            time.sleep(LOOK_S)

    def close(self) -> None:
        """Celery's first step of stopping; the work is in `stop`."""

    def stop(self) -> None:
        """Receive no more, release tasks that were not begun, and finish those that were.

        Called from a thread of the worker, or while solo runs a task, it returns at once: `start` does all this
        before it returns.
        """
        self._end(self._pool.drain, leaving_tasks=False)

    def finish_tasks(self, timeout_s: float) -> None:
        """Receive no more, release tasks that were not begun, and wait for the others, at most *timeout_s*.

        Called in a signal handler. A task that solo runs is below it in the same thread, and ends after it.
        """
        for intake in self._intakes.values():
            intake.stop()
        self.jobs.release(self._take_back())
        end = time.monotonic() + timeout_s
        while not self._pool.supervise_runs_tasks and len(self.jobs) and time.monotonic() < end:
            if state.should_terminate is not None:  # a second signal
                return
            time.sleep(LOOK_S / 10)

    def terminate(self) -> None:
        """Receive no more, and release all tasks that are not finished."""
        self._end(self._pool.abandon, leaving_tasks=True)

    def shutdown(self) -> None:
        """Celery's last step of stopping; the work is in `stop`."""

    def cancel_active_requests(self) -> None:
        """Do nothing inside a signal handler: `terminate` releases running tasks."""

    def _end(self, finish: Callable[[], None], *, leaving_tasks: bool) -> None:
        self._finish = self._finish or finish
        if self._server is None:
            self._take_down(finish)
        elif self._is_own(threading.current_thread()):
            return
        elif not self._pool.supervise_runs_tasks:
            self._over.wait()
        elif leaving_tasks:
            self._take_down(finish)

    def _is_own(self, thread: threading.Thread) -> bool:
        """Return whether *thread*, in which a task or a receiver of a signal runs, is one that ends with the worker."""
        receiving = (intake.thread for intake in self._intakes.values())
        return thread in (self._server, self._remote, self._limits, *self._pool.threads, *receiving)

    def _take_down(self, finish: Callable[[], None]) -> None:
        """End the worker once; a second call waits for the first."""
        with self._lock:
            if self._over.is_set():
                return
            try:
                with pin_runtime(self.controller.runtime):
                    self._leave(finish)
            finally:
                self._over.set()

    def _leave(self, finish: Callable[[], None]) -> None:
        if self._remote is not None:
            self._remote.stop()
        for intake in self._intakes.values():
            intake.stop()
        self._limits.stop()
        self.jobs.release(self._take_back())  # now, or slots that get free would begin them meanwhile
        if self._remote is not None and self._remote.is_alive():
            self._remote.join()
        for intake in self._intakes.values():
            intake.stop()  # once more, for one that a command has added meanwhile
            intake.join()
        self._stall.stop()
        if self._limits.is_alive():
            self._limits.join()
        self._revoked.stop()
        self.jobs.release(self._take_back())
        finish()
        self._pool.break_off()
        if not self.app.capa.is_mixed:  # there `close` gives back what was begun, and marks it as such
            self.jobs.release(self.jobs.all())
        self._events.stop()
        for intake in (*self._intakes.values(), *self._left):
            intake.close()

    def _shall_stop(self) -> bool:
        if self._finish is not None:
            return True
        return any(
            flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate)
        )
