"""Delivery of change events to listeners, on a thread of its own, so that slow listeners do not delay refreshes."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from capa_core.blocks.configuration._events import ChangeEvent, Subscription
from capa_core.blocks.configuration._group import Group
from capa_core.call import telemetry
from capa_core.supervision import SupervisedThread

_Notification = tuple[ChangeEvent, tuple[Subscription, ...]]


class Notifier:
    """Calls listeners one after the other, in the order of the changes; its thread starts with the first event."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Notification | None] = SimpleQueue()

    def notify(self, event: ChangeEvent, group: Group) -> None:
        """Queue *event* for the present listeners of *group*, whose lock the caller holds."""
        if group.subscriptions:
            self._queue.put((event, group.subscriptions))
            self._start()

    def stop(self, timeout_s: float) -> None:
        """Deliver the queued events and end the thread, waiting up to *timeout_s*. A second call does nothing."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def forget(self) -> None:
        """Start again in a forked child: the parent delivers the events that were queued there."""
        self._thread = None
        self._lock = threading.Lock()
        self._queue = SimpleQueue()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped:
                name = f"capa-configuration-{self._name}-listeners"
                # It ends with the queue, not before: events that were queued are delivered even then.
                thread = SupervisedThread(name, self._run, log=self._log, stopping=lambda: False)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while (notification := self._queue.get()) is not None:
            event, subscriptions = notification
            for subscription in subscriptions:
                self._call(subscription, event)

    def _call(self, subscription: Subscription, event: ChangeEvent) -> None:
        try:
            if not subscription.closed and subscription.wants(event):
                subscription.listener(event)
        except BaseException as error:  # noqa: BLE001 - the other listeners must be called too, even after an exit
            self._log().exception(
                "a listener failed; the others are called all the same",
                scope=str(event.scope),
                listener=repr(subscription.listener),
                error=str(error),
            )

    def _log(self) -> Any:
        return telemetry.logger("configuration", self._name)
