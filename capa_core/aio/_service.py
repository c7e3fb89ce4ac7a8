"""The service for async code: `async def` methods run on the application's event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from capa_core.aio._calls import in_thread
from capa_core.aio._facade import Facade, Opening, unwrapped, wrapped
from capa_core.aio._handlers import LoopHandler, adapted
from capa_core.blocks import invocation


class Service(Facade):
    """Methods by name, `def` or `async def`. They may be registered before there is a loop.

    An `async def` method runs on the loop that runs when it is registered, or else when the service is first served
    or hosted.
    """

    def __init__(self, name: str) -> None:
        super().__init__(invocation.Service(name))

    def _hold(self, blocking: Any) -> None:
        super()._hold(blocking)
        self._without_loop: list[LoopHandler] = []

    def register(
        self,
        method: str,
        handler: Callable[..., Any] | None = None,
        *,
        verbs: Iterable[str] = ("POST", "GET", "PUT", "DELETE"),
    ) -> Any:
        """Answer *method* with *handler*; without a handler, return a decorator: `capa_core.Service.register`."""
        if handler is None:
            return partial(self.register, method, verbs=verbs)
        answer = adapted(handler, wrapped)
        self._blocking.register(method, partial(_answered, answer), verbs=verbs)
        if isinstance(answer, LoopHandler) and not answer.join_loop():
            self._without_loop.append(answer)
        return handler

    def serve(self, **options: Any) -> Opening[Any]:
        """Serve over HTTP in background threads until the result is closed: `capa_core.Service.serve`."""
        return Opening(self._serve(partial(self._blocking.serve, **options)))

    def join_loop(self) -> None:
        """Run the methods that have no loop yet on the one that runs now, if there is one."""
        self._without_loop = [handler for handler in self._without_loop if not handler.join_loop()]

    async def _serve(self, serve: Callable[[], invocation.Served]) -> Any:
        self.join_loop()
        return wrapped(await in_thread(serve, lambda served: served.close()))


def _answered(answer: Callable[[invocation.Call], Any], call: invocation.Call) -> Any:
    """Return the answer to *call*, which may be the response of another service that async code has got."""
    return unwrapped(answer(call))
