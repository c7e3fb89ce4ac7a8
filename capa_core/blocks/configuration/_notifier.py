"""Delivery of change events to listeners, on a thread apart, so that a slow listener does not delay refreshes."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from capa_core.blocks.configuration._events import ChangeEvent, Subscription
from capa_core.blocks.configuration._group import Group
from capa_core.call import telemetry

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
        """Have *event* delivered to the present listeners of *group*, whose lock the caller holds."""
        if group.subscriptions:
            self._queue.put((event, group.subscriptions))
            self._start()

    def stop(self, timeout_s: float) -> None:
        """Deliver the queued events and end the thread, waiting up to *timeout_s* for it. Twice does nothing."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def forget(self) -> None:
        """Start anew in a forked child: the parent delivers the events that were queued there."""
        self._thread = None
        self._lock = threading.Lock()
        self._queue = SimpleQueue()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped:
                name = f"capa-configuration-{self._name}-listeners"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (notification := self._queue.get()) is not None:
            event, subscriptions = notification
            for subscription in subscriptions:
                if not subscription.closed and subscription.wants(event):
                    self._call(subscription, event)

    def _call(self, subscription: Subscription, event: ChangeEvent) -> None:
        try:
            subscription.listener(event)
        except Exception as error:  # noqa: BLE001 - one listener must not keep the change from the others
            telemetry.logger("configuration", self._name).exception(
                "a listener failed; the others are called all the same",
                scope=str(event.scope),
                listener=repr(subscription.listener),
                error=str(error),
            )
