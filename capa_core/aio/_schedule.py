"""The schedule for async code: `async def` handlers, also those that a decorator registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from capa_core.aio._facade import ClosableFacade, wrapped
from capa_core.aio._handlers import LoopHandler, adapted

# By schedule, for each call of `aio.schedule` makes another facade over it.
_without_loop: WeakKeyDictionary[Any, list[LoopHandler]] = WeakKeyDictionary()
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


class Schedule(ClosableFacade):
    """Jobs for async code. They may be registered before there is a loop.

    An `async def` handler runs on the loop that runs when it is registered, or else when the schedule starts.
    """

    def _hold(self, blocking: Any) -> None:
        super()._hold(blocking)
        self._without_loop = _without_loop.setdefault(blocking, [])

    def job(self, name: str, **options: Any) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that registers a function as the handler of a job: `capa_core.Schedule.job`."""

        def register(handler: HandlerT) -> HandlerT:
            answer = adapted(handler, wrapped)
            registration = self._blocking.add(name, answer, **options)
            if isinstance(answer, LoopHandler):
                answer.serves(registration)
                if not answer.join_loop():
                    self._without_loop.append(answer)
            return handler

        return register

    def start(self) -> None:
        """Begin to lead jobs, in a thread: `capa_core.Schedule.start`."""
        self._without_loop[:] = [handler for handler in self._without_loop if not handler.join_loop()]
        self._blocking.start()
