"""Pools in the worker's own process: `solo` runs tasks in the main thread, `threads` in several threads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from celery import signals

from capa_celery._outbox import Outbox
from capa_celery._threads import WorkerThread
from capa_celery._worker._census import Census
from capa_celery._worker._events import TaskEvents
from capa_celery._worker._execution import Execution
from capa_celery._worker._jobs import Job
from capa_celery._worker._outcomes import AGAIN, DONE, Outcome
from capa_celery._worker._pool import LOOK_S, SHORT_S, Flusher, Pool, PoolOptions, flush, flush_for_good


class LocalPool(Pool):
    """A pool that runs jobs in threads of this process: the main thread, or several."""

    def __init__(self, options: PoolOptions) -> None:
        super().__init__(options)
        self._waiting: deque[Job] = deque()
        self._arrived = threading.Condition()
        self._in_hand: dict[int, tuple[float, Job]] = {}
        self._stopped = False

    def start(self) -> None:
        """Prepare the tasks; threads start with `supervise`."""
        app = self.options.app
        self._execution = Execution(
            app,
            self.options.hostname,
            sender=self.options.sender(),
            on_begin=lambda task, _headers: self.count(task.name),
            events=TaskEvents(self.options.events()),
        )
        self._outbox: Outbox[tuple[Job, Outcome]] = Outbox(lambda: app.capa.state, self._settle)
        self._census = Census(self._put_jobs, self._present)
        self._flusher = Flusher(self._outbox)
        self._flusher.start()
        app.backend.outbox = self._outbox

    def _settle(self, done: list[tuple[Job, Outcome]]) -> None:
        self.jobs.settle(done)

    def put(self, jobs: list[Job]) -> None:
        """Take jobs to run as threads get free."""
        with self._arrived:
            for job in jobs:
                job.put = True
            self._waiting.extend(jobs)
            self._arrived.notify(len(jobs))

    def take_back(self) -> list[Job]:
        """Return the jobs that were not begun."""
        with self._arrived:
            jobs = list(self._waiting)
            self._waiting.clear()
            return jobs

    def busy_since(self) -> float | None:
        """Return since when all threads have been busy."""
        begun = [since for since, _ in list(self._in_hand.values())]
        return max(begun) if len(begun) >= self.options.slots else None

    def running(self) -> dict[int, tuple[float, int]]:
        """Return the jobs that threads have in their hands."""
        return {job.number: (since, os.getpid()) for since, job in list(self._in_hand.values())}

    def missing(self) -> list[Job]:
        """Return jobs that a thread had in its hands when it failed."""
        return self._census.find()

    def _put_jobs(self) -> list[Job]:
        return [job for job in self.jobs.all() if job.put]

    def _present(self) -> set[int]:
        with self._arrived:
            waiting = list(self._waiting)
        in_hand = [job for _, job in list(self._in_hand.values())]
        return {job.number for job in (*waiting, *in_hand, *(job for job, _ in self._outbox.unreported))}

    def _work(self, stopping: Callable[[], bool]) -> None:
        """Run jobs in this thread until *stopping* returns true; flush results whenever no job waits."""
        while not stopping():
            job = self._next()
            if job is None:
                if self._outbox:
                    flush(self._outbox)
                self._rest()
                continue
            try:
                self._serve_one(job)
            except BaseException:  # whatever ends this thread's work, another must get the job
                self._settle([(job, AGAIN)])
                raise

    def _serve_one(self, job: Job) -> None:
        if not job.lease_left_s:  # this process was suspended, and another may run it by now
            self.jobs.release([job])
            return
        if self._outbox:
            self._flusher.wake()  # earlier results must not wait for this task
        me, begun = threading.get_ident(), time.monotonic()
        self._in_hand[me] = begun, job
        try:
            outcome = self._execution.run(job.arrival, partial(self._settle, [(job, DONE)]))
        finally:
            del self._in_hand[me]
        if self._outbox.done((job, outcome)) or time.monotonic() - begun >= SHORT_S:
            flush(self._outbox)

    def _next(self) -> Job | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _rest(self) -> None:
        with self._arrived:
            if not self._waiting:
                self._arrived.wait(LOOK_S)

    def _finish(self) -> None:
        flush_for_good(self._outbox)
        self._flusher.stop()
        self.options.app.backend.outbox = None


class SoloPool(LocalPool):
    """One task at a time, in the main thread."""

    implementation = "capa_celery:solo"
    supervise_runs_tasks = True

    def __init__(self, options: PoolOptions) -> None:
        super().__init__(replace(options, slots=1))

    def start(self) -> None:
        """Prepare the tasks, and send the signal for those that prepare a process."""
        super().start()
        signals.worker_process_init.send(sender=self.options.hostname)

    def is_alive(self) -> bool:
        """Return true: with the main thread, the worker ends."""
        return True

    def supervise(self, stopping: Callable[[], bool]) -> None:
        """Run jobs in the main thread."""
        self._work(stopping)

    def drain(self) -> None:
        """Store the last results: the last task ended before `supervise` returned."""
        self._finish()

    abandon = drain


class ThreadPool(LocalPool):
    """Several tasks at a time, each in a thread."""

    implementation = "capa_celery:threads"

    def start(self) -> None:
        """Prepare the tasks and the threads."""
        super().start()
        self.threads = [
            WorkerThread(f"capa-task-{number}", self._serve, stopping=lambda: self._stopped)
            for number in range(self.options.slots)
        ]
        for thread in self.threads:
            thread.start()

    def is_alive(self) -> bool:
        """Return whether any of the threads lives."""
        return any(thread.is_alive() for thread in self.threads)

    def supervise(self, stopping: Callable[[], bool]) -> None:
        """Wait in the main thread, where signals are handled."""
        while not stopping():
            time.sleep(LOOK_S / 5)

    def drain(self) -> None:
        """Wait for the tasks that were begun."""
        self._stop_threads()
        for thread in self.threads:
            thread.join()
        self._finish()

    def abandon(self) -> None:
        """Leave the tasks that were begun: their threads end with the process, their messages come again."""
        self._stop_threads()
        self._finish()

    def _serve(self) -> None:
        self.options.app.set_current()
        self._work(lambda: self._stopped)

    def _stop_threads(self) -> None:
        self._stopped = True
        with self._arrived:
            self._arrived.notify_all()
