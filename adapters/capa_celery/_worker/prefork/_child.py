"""A child of the prefork pool: take a task, run it, store its result, report it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import socket
import time
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Any

from billiard import process as billiard_process
from celery import signals
from celery.concurrency.prefork import process_initializer
from celery.exceptions import SoftTimeLimitExceeded

from capa_celery._outbox import Outbox
from capa_celery._worker._events import TASK, EventSender, TaskEvents
from capa_celery._worker._execution import Execution
from capa_celery._worker._outcomes import DONE, Arrival
from capa_celery._worker._pool import SHORT_S, Flusher, PoolOptions, flush, flush_for_good
from capa_celery._worker.prefork import _wire
from capa_celery._worker.prefork._reports import ReportWriter
from capa_core.call.loggers import named_logger
from capa_core.clocks import boot_time
from capa_core.runtime import default_runtime

if TYPE_CHECKING:
    from capa_celery._worker.prefork._slots import Slots

logger = named_logger("celery.capa.worker")

SUSPENDED_S = 0.05
"""While the worker has not handled a report for so long, no task is begun: nobody would acknowledge it."""
LONG_S = 0.05
"""After a task that takes so long, none is begun before the worker has settled it, which takes some milliseconds."""
LOOK_S = 0.05

Finished = tuple[int, tuple[bool, float, str, bool], str]
"""A task's number, the fields of its `Outcome`, and the name of the task if it was begun."""

Orders = tuple[bool, dict[str, tuple[float | None, float | None]]]
"""Changes by control commands: whether events are sent, and the soft and hard time limits of tasks, in seconds."""


class Child:
    """A process that serves one slot until the worker ends, or until it has run as many tasks as it may."""

    def __init__(
        self, options: PoolOptions, index: int, slots: Slots, jobs: socket.socket, reports: socket.socket
    ) -> None:
        self._options = options
        self._index = index
        self._slot = slots.of(index)
        self._jobs = jobs
        self._reports = ReportWriter(reports, index, self._slot)
        self._pid = os.getpid()
        self._count = 0
        self._begun = ""
        self._orders: Orders = (False, {})
        self._events: EventSender | None = None

    def run(self) -> int:
        """Serve, and return the exit code."""
        self._become_worker_process()
        app = self._options.app
        self._outbox: Outbox[Finished] = Outbox(lambda: app.capa.state, self._report)
        self._flusher = Flusher(self._outbox)
        self._flusher.start()
        self._execution = Execution(
            app, self._options.hostname, sender=self._options.sender(), on_begin=self._begin
        )
        app.backend.outbox = self._outbox
        self._reports.send("up", self._pid)
        while (packet := self._next_packet()) != _wire.PARENT_GONE:
            if packet == _wire.LEAVE:
                self._reports.send("leaving", None)
                break
            self._serve(packet)
            if self._worn_out():
                break
        flush_for_good(self._outbox)
        if self._events is not None:
            self._events.stop()
        signals.worker_process_shutdown.send(sender=self._options.hostname, pid=self._pid, exitcode=0)
        default_runtime().end_reports()
        return 0

    def _next_packet(self) -> bytes:
        """Return the next task at once if there is one; else store the results first and then wait."""
        while (
            not self._slot.has_room
        ):  # the store does not take results: take no more tasks than can be noted
            flush_for_good(self._outbox)
        self._slot.receive()
        try:
            packet = self._jobs.recv(_wire.LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if self._outbox and not flush(self._outbox):
                self._flusher.wake()  # it goes on trying while this waits for a task
            return self._jobs.recv(_wire.LARGEST)
        if self._outbox:
            self._flusher.wake()
        return packet

    def _serve(self, packet: bytes) -> None:
        number, arrival, leased_until, orders = _wire.unpack(packet)
        self._slot.take(number)
        if orders != self._orders:
            self._take_over(orders)
        if not self._is_still_ours(leased_until):
            self._slot.end()
            self._send("lapsed", [number])
            return
        self._slot.begin()
        self._begun = ""
        begun = time.monotonic()
        try:
            outcome = self._execution.run(Arrival(*arrival), partial(self._acknowledge, number))
        except SoftTimeLimitExceeded:  # the signal came when the task had ended and its result was stored
            outcome = DONE
        self._slot.end()
        self._count += 1
        if self._outbox.done((number, astuple(outcome), self._begun)):
            flush_for_good(self._outbox)
        elif (took_s := time.monotonic() - begun) >= SHORT_S and flush(self._outbox) and took_s >= LONG_S:
            self._reports.wait_until_handled()

    def _is_still_ours(self, leased_until: float) -> bool:
        """Return whether a task is leased, once the worker runs that keeps the lease: it may be suspended.

        *leased_until* is of the time at which the task was sent here. Renewals are not asked for: a worker that was
        suspended learns late which of its leases it has lost. A task that waited longer is received again.
        """
        while boot_time() < leased_until:
            if self._reports.unhandled_s < SUSPENDED_S:
                return True
            time.sleep(LOOK_S)
        return False

    def _take_over(self, orders: Orders) -> None:
        """Do as control commands say, from this task on."""
        self._orders = orders
        sends_events, limits = orders
        self._execution.events = TaskEvents(self._event_sender().dispatcher) if sends_events else None
        for name, (soft, hard) in limits.items():
            task = self._options.app.tasks.get(name)
            if task is not None:
                task.soft_time_limit, task.time_limit = soft, hard

    def _event_sender(self) -> EventSender:
        if self._events is None:
            self._events = EventSender(self._options.app, self._options.hostname, groups=[TASK])
            self._events.dispatcher.pid = self._options.worker_pid  # as with Celery, whose worker sends them
            self._events.start()
        return self._events

    def _begin(self, task: Any, headers: dict[str, Any]) -> None:
        self._begun = task.name
        hard, soft = headers.get("timelimit") or (None, None)
        self._slot.limit(
            soft or task.soft_time_limit or self._options.soft_time_limit,
            hard or task.time_limit or self._options.time_limit,
        )

    def _report(self, finished: list[Finished]) -> None:
        self._send("done", finished)

    def _send(self, kind: str, detail: list[Any]) -> None:
        """Report tasks as *kind*, first to the worker and then in the slot: a death in between hides none of them."""
        self._reports.send(kind, detail)
        self._slot.reported(each if kind == "lapsed" else each[0] for each in detail)

    def _acknowledge(self, number: int) -> None:
        self._send("done", [(number, astuple(DONE), "")])

    def _worn_out(self) -> bool:
        options = self._options
        if options.max_tasks_per_child and self._count >= options.max_tasks_per_child:
            return True
        limit_kib = options.max_memory_per_child
        if not limit_kib:
            return False
        used_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if used_kib <= limit_kib:
            return False
        logger.error(
            "child process exiting after exceeding memory limit (%dKiB / %dKiB)", used_kib, limit_kib
        )
        return True

    def _become_worker_process(self) -> None:
        """Initialise a new pool process as Celery does; then keep a SIGTERM to the whole group from ending a task."""
        name = f"ForkPoolWorker-{self._index + 1}"
        for process in (billiard_process.current_process(), multiprocessing.current_process()):
            process.name = name
        billiard_process.current_process().index = self._index
        process_initializer(self._options.app, self._options.hostname)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._on_soft_limit)

    def _on_soft_limit(self, *_: object) -> None:
        if self._slot.running and self._slot.running == self._slot.target:
            raise SoftTimeLimitExceeded
