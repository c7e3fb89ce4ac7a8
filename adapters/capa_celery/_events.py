"""Events: Celery's own dispatcher, receiver and state, with a limit to what a dispatcher keeps."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher

MOST_KEPT = 10_000
"""Events of a group that a dispatcher keeps until they can be sent; later ones are dropped."""
BATCH = 100


class _Kept(list[Any]):
    """A list of events that takes no more when it is full."""

    def append(self, event: Any) -> None:
        if len(self) < MOST_KEPT:
            super().append(event)


class Dispatcher(EventDispatcher):  # type: ignore[misc] # celery is not typed
    """Celery's dispatcher of events, which does not fill the memory while the broker is away."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbound_buffer: deque[Any] = deque(maxlen=0)  # what is not gathered is of the moment
        self._group_buffer: defaultdict[str, list[Any]] = defaultdict(_Kept)

    def flush(self, errors: bool = True, groups: bool = True) -> None:  # noqa: ARG002 - Celery's signature
        """Send the events that were gathered, in messages of a limited size; what could not be sent is kept."""
        with self.mutex:
            for group, events in list(self._group_buffer.items()):
                while self.producer is not None and (batch := events[:BATCH]):
                    self._publish(batch, self.producer, f"{group}.multi")
                    del events[: len(batch)]


class Events(CeleryEvents):  # type: ignore[misc] # as above
    """`app.events`."""

    dispatcher_cls = f"{__name__}:Dispatcher"
