"""The worker's side of the prefork pool."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from billiard.common import human_status

from capa_celery._threads import WorkerThread
from capa_celery._worker._execution import AGAIN, DONE, Execution, Outcome, again_after, worker_lost
from capa_celery._worker._jobs import Job
from capa_celery._worker._pool import Pool, PoolOptions
from capa_celery._worker.prefork import _wire
from capa_celery._worker.prefork._child import Finished
from capa_celery._worker.prefork._slots import Slots
from capa_celery._worker.prefork._zygote import Zygote

logger = logging.getLogger("celery.capa.worker")

TICK_S = 0.1
IDLE_TICK_S = 0.5
RESPAWN_PAUSE_S = 1.0


class PreforkPool(Pool):
    """A pool that runs each task in one of several processes, which can be ended when a task takes too long."""

    implementation = "capa_celery:prefork"

    def __init__(self, options: PoolOptions) -> None:
        super().__init__(options)
        self._slots = Slots(options.slots)
        self._pids: dict[int, int] = {}
        self._overdue: dict[int, float] = {}
        self._suspects: set[int] = set()
        self._stopping = False
        self._down = threading.Event()
        self._deaths: list[float] = []

    def start(self) -> None:
        """Fork the zygote, and through it the children."""
        self._jobs_in, self._jobs_out = _wire.pair()
        self._reports_out, self._reports_in = _wire.pair()
        self._zygote = Zygote(self.options, self._slots, self._jobs_out, self._reports_in)
        self._zygote.start(close=(self._jobs_in, self._reports_out))
        self._execution = Execution(self.options.app, self.options.hostname, sender=self)
        self._reader = WorkerThread("capa-reports", self._read_reports)
        self._reader.start()
        self.threads = [self._reader]
        for index in range(self.options.slots):
            self._zygote.spawn(index)

    def put(self, jobs: list[Job]) -> None:
        """Send jobs to whichever child is free first."""
        for job in jobs:
            arrival = job.arrival
            if self._execution.revoked(arrival):
                self.jobs.settle([(job, DONE)])
                continue
            self._jobs_in.send(_wire.pack((job.number, arrival.data, arrival.queue, arrival.redelivered)))

    def take_back(self) -> list[Job]:
        """Read jobs from the children's end before they do."""
        found: list[Job] = []
        while True:
            try:
                packet = self._jobs_out.recv(_wire.LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            job = self.jobs.get(_wire.unpack(packet)[0]) if packet else None
            if job is None:
                return found
            found.append(job)

    def busy_since(self) -> float | None:
        """Return since when all children have been busy with one task each."""
        slots = [self._slots.of(index) for index in range(self.options.slots)]
        return max(slot.since for slot in slots) if all(slot.running for slot in slots) else None

    def is_alive(self) -> bool:
        """Return whether there is, or will be, a child, and a thread to read its reports."""
        return self._reader.is_alive() and (
            self._zygote.is_alive() or any(_exists(pid) for pid in list(self._pids.values()))
        )

    def supervise(self, stopping: Callable[[], bool]) -> None:
        """Enforce the time limits, and look for jobs that a dead child took without noting them."""
        while not stopping():
            self._tick()
            time.sleep(TICK_S if len(self.jobs) else IDLE_TICK_S)

    def drain(self) -> None:
        """Let the children finish the tasks that they have begun; time limits hold meanwhile."""
        self._stopping = True
        self._jobs_in.close()
        while self._pids and not self._down.wait(TICK_S):
            self._tick()
        self._end()

    def abandon(self) -> None:
        """Kill the children; their tasks come again."""
        self._stopping = True
        for pid in list(self._pids.values()):
            _kill(pid, signal.SIGKILL)
        self._jobs_in.close()
        self._down.wait(5.0 if self._pids else 0.0)
        self._end()

    @property
    def info(self) -> dict[str, Any]:
        """The figures that `inspect stats` shows."""
        return {**super().info, "processes": sorted(self._pids.values())}

    def _end(self) -> None:
        self._zygote.stop()
        self._reports_in.close()
        self._reader.join()
        self._jobs_out.close()
        self._reports_out.close()

    # Reports

    def _read_reports(self) -> None:
        while (packet := self._reports_out.recv(_wire.LARGEST)) != _wire.PARENT_GONE:
            kind, index, detail = _wire.unpack(packet)
            if kind == "done":
                self._on_done(detail)
            elif kind == "up":
                self._pids[index] = detail
            else:
                self._on_down(index, detail)

    def _on_done(self, finished: list[Finished]) -> None:
        pairs = ((self.jobs.get(number), Outcome(*outcome)) for number, outcome in finished)
        self.jobs.settle([(job, outcome) for job, outcome in pairs if job is not None])

    def _on_down(self, index: int, status: int) -> None:
        """Settle the jobs that the child leaves behind, and start another in its place."""
        self._pids.pop(index, None)
        slot = self._slots.of(index)
        blamed = slot.running
        code = os.waitstatus_to_exitcode(status)
        for number in slot.taken:
            job = self.jobs.get(number)
            if job is None:
                continue
            if number in self._overdue:
                self.jobs.settle([(job, self._time_limit_outcome(job, self._overdue.pop(number)))])
            elif number == blamed and not self._stopping:
                self.jobs.settle([(job, self._lost_outcome(job, code))])
            else:
                self.jobs.settle([(job, AGAIN)])
        slot.clear()
        self._suspects = set(self._unaccounted())
        if self._stopping:
            if not self._pids:
                self._down.set()
            return
        if code:
            logger.error("Process %r exited with %s", f"ForkPoolWorker-{index + 1}", human_status(code))
            self._pause_if_all_die()
        self._zygote.spawn(index)

    def _pause_if_all_die(self) -> None:
        """Keep children that die at birth from turning into a fork storm."""
        now = time.monotonic()
        self._deaths = [moment for moment in self._deaths if now - moment < RESPAWN_PAUSE_S] + [now]
        if len(self._deaths) > 2 * self.options.slots:
            time.sleep(RESPAWN_PAUSE_S)

    # Time limits and losses

    def _tick(self) -> None:
        now = time.monotonic()
        for index, pid in list(self._pids.items()):
            slot = self._slots.of(index)
            if limit := slot.over_hard_limit(now):
                self._overdue[slot.running] = limit
                _kill(pid, signal.SIGKILL)
            elif limit := slot.over_soft_limit(now):
                number = slot.target = slot.running
                _kill(pid, signal.SIGUSR1)
                self._report_soft_limit(number, limit)
        self._find_orphans()

    def _find_orphans(self) -> None:
        """Have the jobs come again that a child took and died with before it could note them."""
        if self._suspects:
            orphans = self._suspects & set(self._unaccounted())
            self.jobs.settle([(job, AGAIN) for number in orphans if (job := self.jobs.get(number))])
            self._suspects = set()

    def _unaccounted(self) -> list[int]:
        """Return the jobs that are neither with a child nor, because there is none, in the socket."""
        try:
            self._jobs_out.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            taken = {number for index in range(self.options.slots) for number in self._slots.of(index).taken}
            return [job.number for job in self.jobs.all() if job.number not in taken]
        return []

    def _lost_outcome(self, job: Job, code: int) -> Outcome:
        """Return the outcome of a task whose process died: again, unless it was lost too often."""
        failure = worker_lost(human_status(code))
        if job.message.delivery_count < self.options.app.capa.settings.max_worker_losses:
            logger.warning("a task of %s took its process down, it will run again", job.queue)
            return again_after(failure.exception)
        outcomes: list[Outcome] = []
        self._execution.request(job.arrival, outcomes.append).on_failure(failure)
        return outcomes[0] if outcomes else DONE

    def _time_limit_outcome(self, job: Job, limit: float) -> Outcome:
        outcomes: list[Outcome] = []
        self._execution.request(job.arrival, outcomes.append).on_timeout(soft=False, timeout=limit)
        return outcomes[0] if outcomes else DONE

    def _report_soft_limit(self, number: int, limit: float) -> None:
        job = self.jobs.get(number)
        if job is not None:
            self._execution.request(job.arrival, lambda _outcome: None).on_timeout(soft=True, timeout=limit)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(pid: int, name: signal.Signals) -> None:
    try:
        os.kill(pid, name)
    except ProcessLookupError:
        logger.debug("process %d has gone by itself", pid)
