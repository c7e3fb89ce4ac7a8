"""The contract of pools, which run the worker's tasks in threads or processes."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from celery.worker import state as worker_state

from capa_celery._outbox import Outbox
from capa_celery._threads import WorkerThread
from capa_celery._worker._execution import Execution
from capa_celery._worker._jobs import Job, Jobs
from capa_celery._worker._outcomes import Outcome
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_celery import Celery

logger = named_logger("celery.capa.worker")

LOOK_S = 0.5
"""Seconds between two checks of a waiting thread whether it must stop."""
FLUSH_S = 0.01
"""Seconds that a result may wait for others when the next task has begun already."""
SHORT_S = 0.01
"""Tasks that take less are settled together while others run. One that takes longer is settled before its slot begins
another: if this process is suspended then, others get only one task of each slot."""
AGAIN_S = 0.5
"""Seconds before results that the store did not accept are stored again."""


@dataclass(frozen=True)
class PoolOptions:
    """The options of a pool from command line and settings; limits are in seconds, memory in KiB.

    Attributes:
        most_slots: The number of slots that it may grow to by itself, if more.
        sender: Gives the sender of signals about tasks: the worker's consumer, which is made after the pool.
        events: Gives its dispatcher of events.
        task_events: Whether events of tasks are sent from the start.
        worker_pid: The process that makes these.
    """

    app: Celery
    hostname: str
    slots: int
    most_slots: int | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    sender: Callable[[], object] = lambda: None
    events: Callable[[], Any] = lambda: None
    task_events: bool = False
    worker_pid: int = field(default_factory=os.getpid)


class Pool(ABC):
    """A pool of slots that run jobs. `put` and `take_back` may be called from any thread.

    The order of a life: `start`, in the main thread before any other thread exists; `put`; `supervise` in the
    main thread until the worker stops; `drain`, or `abandon`. In an embedded worker, the thread that runs it is the
    main thread in this sense.
    """

    signal_safe = True
    """For Celery: the pool's own `stop` waits for nothing."""
    implementation: str
    has_processes = False
    """Whether tasks run in processes of their own, so that limits of these hold."""
    scales = False
    """Whether the number of slots follows the number of tasks with `--autoscale`."""
    supervise_runs_tasks = False
    """Whether `supervise` may return late, because a task runs in it; `abandon` may be called meanwhile."""
    threads: Sequence[threading.Thread] = ()
    """The pool's own threads in which code of the application runs: tasks, and receivers of signals."""

    def __init__(self, options: PoolOptions) -> None:
        self.options = options
        self.jobs: Jobs
        self._execution: Execution
        self._counting = threading.Lock()

    @abstractmethod
    def start(self) -> None:
        """Make processes or threads ready. A pool that forks does so here."""

    @abstractmethod
    def put(self, jobs: list[Job]) -> None:
        """Take jobs to run as slots get free."""

    @abstractmethod
    def take_back(self) -> list[Job]:
        """Return the jobs that no slot has begun; none of them will be begun."""

    @abstractmethod
    def busy_since(self) -> float | None:
        """Return since when (monotonic) all slots have been busy with one task each; `None` if one is free."""

    def missing(self) -> list[Job]:
        """Return jobs that are surely with nobody. Called twice a second until the worker stops, by one thread."""
        return []

    @abstractmethod
    def is_alive(self) -> bool:
        """Return whether anything is left that can run jobs; if not, their leases are not renewed."""

    def takes_jobs(self) -> bool:
        """Return whether a thread or process is there for jobs; none are received before, which others could run."""
        return True

    @abstractmethod
    def supervise(self, stopping: Callable[[], bool]) -> None:
        """Occupy the main thread until *stopping* returns true."""

    @abstractmethod
    def drain(self) -> None:
        """Let running tasks end and settle them, then end processes and threads."""

    @abstractmethod
    def abandon(self) -> None:
        """End at once; the messages of running tasks come again."""

    def count(self, task_name: str) -> None:
        """Count a task for the figures of the worker. Safe for many threads."""
        with self._counting:
            worker_state.total_count[task_name] += 1
            worker_state.all_total_count[0] += 1

    # For control commands

    @abstractmethod
    def running(self) -> dict[int, tuple[float, int]]:
        """Return since when (monotonic) each job runs, and in which process, by the numbers of the jobs."""

    def request_of(self, job: Job, settle: Callable[[Outcome], None]) -> Any:
        """Return Celery's `Request` for a job, or `None` for a message that no worker of this application can run."""
        try:
            return self._execution.request(job.arrival, settle)
        except Exception:  # noqa: BLE001 - whoever is to run it finds out and reports
            return None

    def name_of(self, job: Job) -> str | None:
        """Return the name of the task that a job is to run now; `None` if it will not run: it has no such message."""
        return self._execution.name_of(job.arrival)

    def not_begun(self, jobs: list[Job]) -> None:
        """Take note that jobs come again that were not begun, which is no loss of a process."""
        for job in jobs:
            if not job.arrival.redelivered:  # else what is noted, or not, stays right
                self._execution.broken_off(job.arrival)

    def limit(self, task_name: str, soft: float | None, hard: float | None) -> None:  # noqa: B027 - not for each
        """Take note of new time limits of a task. They hold in pools of processes alone."""

    def send_task_events(self, wanted: bool) -> None:  # noqa: B027 - as above
        """Take note whether events of tasks are to be sent, for other processes than this."""

    def grow(self, n: int = 1) -> None:
        """Add *n* slots.

        Raises:
            NotImplementedError: The pool cannot.
        """
        raise NotImplementedError(f"the pool {self.implementation} keeps its number of slots")

    def shrink(self, n: int = 1) -> None:
        """Remove *n* slots as their tasks end.

        Raises:
            NotImplementedError: As for `grow`.
        """
        self.grow(-n)

    def terminate_job(self, pid: int, signum: int | None = None) -> None:
        """End the task that the process *pid* runs.

        Raises:
            NotImplementedError: As for `grow`.
        """
        raise NotImplementedError(f"the pool {self.implementation} cannot end a task that runs")

    def break_off(self) -> None:
        """Take note that the tasks left by now are broken off: that is no fault of theirs."""
        is_marked = self.options.app.capa.is_mixed
        for job in self.jobs.all():
            # A first delivery is released, and its next one is the first again, unless the layout marks what was begun.
            if job.arrival.redelivered or is_marked:
                self._execution.broken_off(job.arrival)

    @property
    def info(self) -> dict[str, Any]:
        """The figures that `inspect stats` shows."""
        return {"implementation": self.implementation, "max-concurrency": self.num_processes}

    @property
    def num_processes(self) -> int:
        """The number of tasks that run at once."""
        return self.options.slots


class Flusher(WorkerThread):
    """Empties an outbox soon after it was filled, while the thread that filled it runs the next task."""

    def __init__(self, outbox: Outbox[Any]) -> None:
        super().__init__("capa-results", self._serve, stopping=lambda: self._stopped)
        self._outbox = outbox
        self._filled = threading.Event()
        self._stopped = False

    def wake(self) -> None:
        """Request that the outbox is emptied soon."""
        if not self._filled.is_set():
            self._filled.set()

    def _serve(self) -> None:
        while not self._stopped:
            self._filled.wait()
            self._filled.clear()
            time.sleep(FLUSH_S)
            if not flush(self._outbox) and not self._stopped:
                time.sleep(AGAIN_S)
                self._filled.set()

    def stop(self) -> None:
        """End after a last flush."""
        self._stopped = True
        self._filled.set()
        self.join()


def flush(outbox: Outbox[Any]) -> bool:
    """Empty the outbox, and return whether the store accepted it; results that it refused are kept for the next try."""
    try:
        outbox.flush()
    except CapaError as error:
        logger.warning("cannot store results now, their tasks stay unacknowledged: %s", error)
        return False
    return True


def flush_for_good(outbox: Outbox[Any], patience_s: float = 10.0) -> None:
    """Empty the outbox before the process ends; give up when the store stays away: the tasks come again then."""
    end = time.monotonic() + patience_s
    while outbox and not flush(outbox) and time.monotonic() < end:
        time.sleep(0.5)


Report = Callable[[list[tuple[Job, Outcome]]], None]
