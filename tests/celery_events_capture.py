"""A receiver of Celery's events in a thread, for the length of a `with` block."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from capa_core.conformance._tolerance import wait_until

MARK = "worker-mark"


class Captured:
    """The events that came, in their order."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.listening = threading.Event()

    def mark(self, _event: dict[str, Any]) -> None:
        """Take note that events come: a receiver on Redis listens some time after it says so."""
        self.listening.set()

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """Return the events of one task."""
        return [event for event in self.events if event.get("uuid") == task_id]

    def types(self) -> set[str]:
        """Return the types of the events that came."""
        return {event["type"] for event in self.events}

    def wait_for(self, kind: str, task_id: str | None = None) -> dict[str, Any]:
        """Return the first event of a type, of one task or of a worker."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.events if one["type"] == kind and task_id in (None, one.get("uuid"))]

        wait_until(found, told=lambda: sorted(self.types()))
        return found()[0]


@contextmanager
def captured(app: Any) -> Iterator[Captured]:
    """Capture all events; what is sent from the beginning of the block on is received."""
    seen = Captured()
    with app.connection() as connection, app.events.default_dispatcher() as dispatcher:
        receiver = app.events.Receiver(connection, handlers={MARK: seen.mark, "*": seen.events.append})
        thread = threading.Thread(target=receiver.capture)
        thread.start()
        try:
            wait_until(lambda: dispatcher.send(MARK) or seen.listening.wait(0.05))
            yield seen
        finally:
            receiver.should_stop = True
            dispatcher.send(MARK)  # it looks at that after an event
            thread.join()
