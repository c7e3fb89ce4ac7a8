"""The worker's side of the prefork pool."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from billiard.common import human_status
from celery import signals

from capa_celery._worker._census import CENSUS_S
from capa_celery._worker._events import TaskEvents
from capa_celery._worker._execution import Execution
from capa_celery._worker._jobs import Job
from capa_celery._worker._outcomes import (
    AGAIN,
    DONE,
    SETTLE_AGAIN_S,
    Outcome,
    again_after,
    worker_lost,
)
from capa_celery._worker._pool import Pool, PoolOptions
from capa_celery._worker.prefork import _wire
from capa_celery._worker.prefork._child import Finished, Orders
from capa_celery._worker.prefork._missing import MissingJobs
from capa_celery._worker.prefork._reports import ReportReader
from capa_celery._worker.prefork._slots import Slots
from capa_celery._worker.prefork._stopped import StoppedWatch, held_up
from capa_celery._worker.prefork._zygote import Zygote
from capa_core.call.loggers import named_logger
from capa_core.clocks import boot_time

logger = named_logger("celery.capa.worker")

TICK_S = 0.1
IDLE_TICK_S = 0.5
RESPAWN_PAUSE_S = 1.0
MOST_MORE = 64
"""A pool may grow by so many children, or to twice its first size: their slots are made before the first fork."""
STOPPING_S = 0.5


class PoolLostError(RuntimeError):
    """The pool cannot run tasks any more."""


class PreforkPool(Pool):
    """A pool that runs each task in one of several processes, which can be ended when a task takes too long."""

    implementation = "capa_celery:prefork"
    has_processes = scales = True

    def __init__(self, options: PoolOptions) -> None:
        super().__init__(options)
        slots = max(options.slots, options.most_slots or 0)
        self._most = max(2 * slots, slots + MOST_MORE)
        self._slots = Slots(self._most)
        self._indices = set(range(options.slots))
        self._leaving: set[int] = set()
        self._to_leave = 0
        self._terminated: set[int] = set()
        self._seen: dict[int, int] = {}
        self._orders: Orders = (options.task_events, {})
        self._pids: dict[int, int] = {}
        self._overdue: dict[int, float] = {}
        self._missing = MissingJobs(self._present, self._put_jobs, self._send_mark)
        self._stopped = StoppedWatch()
        self._next_census = time.monotonic() + CENSUS_S
        self._putting = threading.Lock()
        self._taking_back = threading.Lock()
        self._stopping = self._abandoned = False
        self._down = threading.Event()
        self._deaths: list[float] = []

    def start(self) -> None:
        """Fork the zygote, and through it the children."""
        self._jobs_in, self._jobs_out = _wire.pair()
        self._reports_out, self._reports_in = _wire.pair()
        for _ in range(self.options.slots):
            signals.worker_before_create_process.send(
                sender=self
            )  # here, where clients live that mind a fork
        self._zygote = Zygote(self.options, self._slots, self._jobs_out, self._reports_in)
        self._zygote.start(close=(self._jobs_in, self._reports_out))
        self._execution = Execution(
            self.options.app,
            self.options.hostname,
            sender=self.options.sender(),
            events=TaskEvents(self.options.events()),
        )
        self._reader = ReportReader(self._reports_out, self._handle)
        self._reader.start()
        self.threads = [self._reader]
        for index in range(self.options.slots):
            self._zygote.spawn(index)

    def put(self, jobs: list[Job]) -> None:
        """Send jobs to the first child that is free."""
        for job in jobs:
            arrival = job.arrival
            if self._execution.revoked(arrival):
                self.jobs.settle([(job, DONE)])
                continue
            until = boot_time() + job.lease_left_s
            packet = _wire.pack((job.number, tuple(arrival), until, self._orders))
            with self._putting:
                job.put = True  # first: if it cannot be sent, it is found missing
                self._jobs_in.send(packet)

    def take_back(self) -> list[Job]:
        """Read jobs from the children's end before they do."""
        with self._taking_back:
            packets = self._waiting_packets()
            for _ in range(packets.count(_wire.LEAVE)):
                self._jobs_in.send(_wire.LEAVE)
            numbers = [_wire.unpack(packet)[0] for packet in packets if packet != _wire.LEAVE]
        return [job for number in numbers if (job := self.jobs.get(number)) is not None]

    def busy_since(self) -> float | None:
        """Return since when all children have been busy with one task each."""
        slots = [self._slots.of(index) for index in list(self._indices)]
        return max(slot.since for slot in slots) if all(slot.running for slot in slots) else None

    def is_alive(self) -> bool:
        """Return whether there is, or will be, a child, and a thread to read its reports."""
        return self._reader.is_alive() and (
            self._zygote.is_alive() or any(_exists(pid) for pid in list(self._pids.values()))
        )

    def takes_jobs(self) -> bool:
        """Return whether a child is there: one that starts may take longer than a lease, as it loads a model."""
        return bool(self._pids)

    def supervise(self, stopping: Callable[[], bool]) -> None:
        """Enforce the time limits, and look for jobs that a dead child took without noting them.

        Raises:
            PoolLostError: No process is left that could run tasks, or start another that does.
        """
        while not stopping():
            self._tick()
            if self._reader.failure is not None:
                raise PoolLostError(
                    "a report of the pool's processes cannot be handled. This worker ends, and its tasks go to others: "
                    "start it again"
                ) from self._reader.failure
            if self._zygote.has_ended(within_s=TICK_S if len(self.jobs) else IDLE_TICK_S):
                raise PoolLostError(
                    f"the process {self._zygote.pid} that starts the pool's processes was killed or has ended. This "
                    "worker ends, and its tasks go to others: start it again, and look for what kills processes here"
                )

    def drain(self) -> None:
        """Let the children finish the tasks that they have begun; time limits hold meanwhile."""
        self._stopping = True
        self._jobs_in.close()
        while self._pids and not self._down.wait(TICK_S):
            if not (self._zygote.is_alive() and self._reader.is_alive()):
                self._kill_children()  # nobody would report their end, or read the report
                break
            self._tick()
        self._end()

    def abandon(self) -> None:
        """Kill the children; their tasks come again."""
        self._stopping = self._abandoned = True
        self._kill_children()
        self._jobs_in.close()
        self._down.wait(5.0 if self._pids and self._zygote.is_alive() else 0.0)
        self._zygote.kill()
        self._end()

    def _kill_children(self) -> None:
        for pid in list(self._pids.values()):
            _kill(pid, signal.SIGKILL)

    @property
    def info(self) -> dict[str, Any]:
        """The figures that `inspect stats` shows."""
        options = self.options
        return {
            **super().info,
            "processes": sorted(self._pids.values()),
            "max-tasks-per-child": options.max_tasks_per_child or "N/A",
            "timeouts": (options.soft_time_limit or 0, options.time_limit or 0),
        }

    def _end(self) -> None:
        self._zygote.stop()
        self._reports_in.close()
        self._reader.join()
        self._jobs_out.close()
        self._reports_out.close()

    # Control commands

    @property
    def num_processes(self) -> int:
        """The number of its processes, those left out that are to leave."""
        return len(self._indices) - self._to_leave

    def running(self) -> dict[int, tuple[float, int]]:
        """Return the jobs that children run."""
        slots = [(self._slots.of(index), pid) for index, pid in list(self._pids.items())]
        found = {number: (slot.since, pid) for slot, pid in slots if (number := slot.begun)}
        self._seen = {pid: number for number, (_, pid) in found.items()}
        return found

    def limit(self, task_name: str, soft: float | None, hard: float | None) -> None:
        """Send new time limits of a task to the children, with the tasks that follow."""
        task_events, limits = self._orders
        self._orders = (task_events, {**limits, task_name: (soft, hard)})

    def send_task_events(self, wanted: bool) -> None:
        """Have the children send events of the tasks that follow, or send none."""
        self._orders = (wanted, self._orders[1])

    def grow(self, n: int = 1) -> None:
        """Start *n* children.

        Raises:
            ValueError: They would be too many. None was started.
        """
        if self._stopping:
            return
        self.check_number(len(self._indices) + n)
        free = sorted(set(range(self._most)) - self._indices)
        for index in free[:n]:
            self._indices.add(index)
            self._zygote.spawn(index)

    def check_number(self, number: int) -> None:
        """Check that it may have *number* children.

        Raises:
            ValueError: These are too many.
        """
        if number > self._most:
            raise ValueError(
                f"the pool has {len(self._indices)} processes and may have {self._most}, unless the worker is started "
                "with a larger --concurrency or --autoscale"
            )

    def maintain_pool(self) -> None:
        """Celery's autoscaler calls it after a change; children that ended are replaced without it."""

    def shrink(self, n: int = 1) -> None:
        """Let *n* children end, those that are free first.

        Raises:
            ValueError: None would be left. None ends.
        """
        if self._stopping:
            return
        if n >= self.num_processes:
            raise ValueError(f"the pool has {self.num_processes} processes, and one must be left")
        with self._putting:
            for _ in range(n):
                self._to_leave += 1
                self._jobs_in.send(_wire.LEAVE)

    def terminate_job(self, pid: int, signum: int | None = None) -> None:
        """End the task that *pid* ran when `running` was called last, and not one that follows it.

        The process ends with it, also of a signal that it ignores; SIGUSR1 is the soft time limit, as ever.
        """
        number = self._seen.get(pid)
        index = next((index for index, each in list(self._pids.items()) if each == pid), None)
        if number is None or index is None:
            return
        slot = self._slots.of(index)
        with held_up(pid, within_s=STOPPING_S):
            if slot.begun != number:
                return
            if signum == signal.SIGUSR1:
                slot.target = number
                _kill(pid, signal.SIGUSR1)
            else:
                self._terminated.add(number)
                _kill(pid, signal.SIGKILL)

    # Reports

    def _handle(self, kind: str, index: int, detail: Any) -> None:
        if kind == "mark":
            self._missing.mark_read(detail)
        elif kind == "down":
            self._on_down(index, detail)
        else:
            self._handle_of_child(kind, index, detail)
            self._slots.of(index).handle()

    def _handle_of_child(self, kind: str, index: int, detail: Any) -> None:
        if kind == "done":
            self._on_done(detail)
        elif kind == "leaving":
            self._leaving.add(index)
        elif kind == "lapsed":
            self.jobs.release([job for number in detail if (job := self.jobs.get(number))])
        else:
            self._on_up(index, detail)

    def _on_up(self, index: int, pid: int) -> None:
        self._pids[index] = pid
        if self._abandoned:  # it came up too late to be killed with the others
            _kill(pid, signal.SIGKILL)
        self.jobs.notice_room()

    def _on_done(self, finished: list[Finished]) -> None:
        known = [(job, fields, name) for number, fields, name in finished if (job := self.jobs.get(number))]
        for _, _, name in known:
            if name:
                self.count(name)
        self.jobs.settle([(job, Outcome(*fields)) for job, fields, _ in known])

    def _on_down(self, index: int, status: int) -> None:
        """Settle the jobs that the child leaves behind, and start another in its place."""
        self._pids.pop(index, None)
        slot = self._slots.of(index)
        if slot.receiving:
            self._missing.look_soon()
        blamed = slot.begun
        code = os.waitstatus_to_exitcode(status)
        for number in slot.taken:
            job = self.jobs.get(number)
            if job is not None:
                self.jobs.settle([(job, self._outcome_left_behind(job, code, running=number == blamed))])
        slot.clear()
        if self._stopping:
            if not self._pids:
                self._down.set()
            return
        if index in self._leaving:
            self._leaving.discard(index)
            self._indices.discard(index)
            self._to_leave -= 1
            return
        if code:
            logger.error("Process %r exited with %s", f"ForkPoolWorker-{index + 1}", human_status(code))
            self._pause_if_all_die()
        self._zygote.spawn(index)

    def _pause_if_all_die(self) -> None:
        """Limit the rate of forks when children die at their start."""
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
        self._kill_stopped()
        if not self._stopping:
            self._take_census()

    def _kill_stopped(self) -> None:
        """Kill processes that somebody has stopped: they hold tasks, or do not replace processes."""
        for pid in self._stopped.find([self._zygote.pid, *self._pids.values()]):
            logger.error(
                "process %d of the pool was stopped by a signal and not continued: it is killed, its tasks run again",
                pid,
            )
            _kill(pid, signal.SIGKILL)

    def _take_census(self) -> None:
        if time.monotonic() >= self._next_census:
            self._next_census = time.monotonic() + CENSUS_S
            self._missing.look_soon()
        missing = self._missing.find()
        if missing:
            logger.error("%d tasks are with no process of the pool: they run again", len(missing))
            self.jobs.settle([(job, AGAIN) for job in missing])

    # For the search of missing jobs

    def _put_jobs(self) -> list[Job]:
        return [job for job in self.jobs.all() if job.put]

    def _present(self) -> set[int] | None:
        """Return the jobs that wait or are with a child; `None` while `put` waits for room in the socket."""
        if not self._putting.acquire(blocking=False):
            return None
        try:
            with self._taking_back:
                waiting = self._waiting_packets()
                for packet in waiting:  # there is room: it is where they came from
                    self._jobs_in.send(packet)
            return {_wire.first(packet) for packet in waiting} | self._slots.taken
        finally:
            self._putting.release()

    def _waiting_packets(self) -> list[bytes]:
        packets: list[bytes] = []
        while True:
            try:
                packet = self._jobs_out.recv(_wire.LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return packets
            if packet == _wire.PARENT_GONE:
                return packets
            packets.append(packet)

    def _send_mark(self, mark: int) -> bool:
        try:
            self._reports_in.send(_wire.pack(("mark", 0, mark)), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    # Outcomes of tasks whose process ended

    def _outcome_left_behind(self, job: Job, code: int, *, running: bool) -> Outcome:
        if job.number in self._terminated:
            self._terminated.discard(job.number)
            self._execution.broken_off(job.arrival)
            return DONE
        if job.number in self._overdue:
            return self._time_limit_outcome(job, self._overdue.pop(job.number))
        if not running:  # its result was not stored yet
            return AGAIN
        if self._abandoned:
            self._execution.broken_off(job.arrival)
            return AGAIN
        return self._lost_outcome(job, code)

    def _lost_outcome(self, job: Job, code: int) -> Outcome:
        """Return the outcome of a task whose process died: again, unless it was lost too often."""
        failure = worker_lost(human_status(code))
        return self._settled(job, lambda: self._execution.lost(job.arrival, failure))

    def _time_limit_outcome(self, job: Job, limit: float) -> Outcome:
        return self._decided(job, lambda request: request.on_timeout(soft=False, timeout=limit))

    def _report_soft_limit(self, number: int, limit: float) -> None:
        job = self.jobs.get(number)
        if job is not None:
            self._decided(job, lambda request: request.on_timeout(soft=True, timeout=limit))

    def _decided(self, job: Job, event: Callable[[Any], object]) -> Outcome:
        """Return the outcome that Celery's request decides on."""

        def decide() -> Outcome:
            outcomes: list[Outcome] = []
            event(self._execution.request(job.arrival, outcomes.append))
            return outcomes[0] if outcomes else DONE

        return self._settled(job, decide)

    def _settled(self, job: Job, decide: Callable[[], Outcome]) -> Outcome:
        """Return the outcome of *decide*; the message comes again if that fails."""
        try:
            return decide()
        except Exception as error:  # the store may be away; the other jobs must not wait for this one
            logger.exception("a task of %s could not be settled, it will run again", job.queue)
            return again_after(error, SETTLE_AGAIN_S)


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
