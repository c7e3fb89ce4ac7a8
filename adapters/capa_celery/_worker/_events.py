"""Events of a worker, its own and those of its tasks: one thread in each process gathers and sends them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from celery.signals import heartbeat_sent
from celery.utils.sysinfo import load_average
from celery.worker.state import SOFTWARE_INFO

from capa_celery._threads import WorkerThread
from capa_core.call.loggers import named_logger

if TYPE_CHECKING:
    from capa_celery import Celery

logger = named_logger("celery.capa.worker")

HEARTBEAT_S = 2.0
GATHER_S = 0.1
AGAIN_S = 2.0
TASK = "task"


class EventSender(WorkerThread):
    """Sends events in batches, so that no task waits for the broker; heartbeats too, if it is to.

    While the broker is away it keeps the events of tasks, up to a limit, and tries again.

    Args:
        groups: The groups of events to send, `task` and `worker`; `None` for all.
        heartbeat_s: Seconds between two heartbeats; `None` for none, and then the worker does not say that it is there.
        figures: Returns the figures of a heartbeat.
    """

    def __init__(
        self,
        app: Celery,
        hostname: str,
        *,
        groups: Collection[str] | None,
        heartbeat_s: float | None = None,
        figures: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._stopped = threading.Event()
        self._filled = threading.Event()
        super().__init__("capa-events", self._serve, stopping=self._stopped.is_set)
        self._heartbeat_s = heartbeat_s
        self._figures = figures
        self._passing_errors = app.capa.passing_errors
        self.dispatcher = app.events.Dispatcher(
            app.connection_for_write(),
            hostname=hostname,
            groups=groups,
            buffer_while_offline=False,
            buffer_group=frozenset([TASK]),
            buffer_limit=math.inf,
            on_send_buffered=self._wake,
        )

    def stop(self) -> None:
        """Send what was gathered, and end."""
        self._stopped.set()
        self._filled.set()
        if self.is_alive():
            self.join()

    def _wake(self) -> None:
        if not self._filled.is_set():
            self._filled.set()

    def _serve(self) -> None:
        next_beat = math.inf
        if self._heartbeat_s:
            self._try(lambda: self._beat("worker-online"))
            next_beat = time.monotonic() + self._heartbeat_s
        while not self._stopped.is_set():
            left_s = next_beat - time.monotonic()
            if self._filled.wait(None if left_s == math.inf else max(0.0, left_s)):
                self._stopped.wait(GATHER_S)
                self._filled.clear()
                if not self._try(self.dispatcher.flush):
                    self._stopped.wait(AGAIN_S)
                    self._filled.set()
            if self._heartbeat_s and time.monotonic() >= next_beat:
                self._try(lambda: self._beat("worker-heartbeat"))
                next_beat = time.monotonic() + self._heartbeat_s
        if self._try(self.dispatcher.flush) and self._heartbeat_s:
            self._try(lambda: self._beat("worker-offline"))

    def _beat(self, event: str) -> None:
        if heartbeat_sent.receivers:
            heartbeat_sent.send(sender=self)
        self.dispatcher.send(
            event, freq=self._heartbeat_s, loadavg=load_average(), **self._figures(), **SOFTWARE_INFO
        )

    def _try(self, send: Callable[[], object]) -> bool:
        try:
            send()
        except self._passing_errors as error:
            logger.warning("events cannot be sent now: %s", error)
            return False
        return True


class TaskEvents:
    """The events that Celery's consumer sends of a task; its `Request` sends the others."""

    def __init__(self, dispatcher: Any) -> None:
        self.dispatcher = dispatcher

    def are_wanted(self, task: Any) -> bool:
        """Return whether events of a task are to be sent."""
        groups = self.dispatcher.groups
        return bool(self.dispatcher.enabled and (not groups or TASK in groups) and task.send_events)

    def received(self, headers: dict[str, Any]) -> None:
        """Send the event of a task that came."""
        self.dispatcher.send(
            "task-received",
            uuid=headers["id"],
            name=headers.get("shadow") or headers["task"],
            args=headers.get("argsrepr", ""),
            kwargs=headers.get("kwargsrepr", ""),
            root_id=headers.get("root_id"),
            parent_id=headers.get("parent_id"),
            retries=headers.get("retries") or 0,
            eta=headers.get("eta"),
            expires=headers.get("expires"),
        )

    def started(self, task_id: str) -> None:
        """Send the event of a task that begins."""
        self.dispatcher.send("task-started", uuid=task_id)

    def succeeded(self, task_id: str, result: str | None, runtime: float | None) -> None:
        """Send the event of a task that has succeeded; *result* is its text."""
        self.dispatcher.send("task-succeeded", uuid=task_id, result=result, runtime=runtime)
