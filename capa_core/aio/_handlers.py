"""Handlers given by async code: an `async def` handler runs on the event loop of the code that gave it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import partial
from typing import Any, NoReturn

from capa_core.call import deadline, telemetry
from capa_core.call.handlers import LoopEndedError, is_async
from capa_core.errors import InvalidArgumentError, UnavailableError

_LOOK_S = 0.5
_SHORT_LOOK_S = 0.01
_CANCELLED = object()
"""Seconds between two checks that the loop still runs; after two failed ones it counts as stopped."""


def adapted(handler: Any, wrap: Callable[[Any], Any]) -> Any:
    """Return *handler* as a plain function: on the running loop if it is `async def`, else on its caller's thread.

    Args:
        wrap: Converts the handler's argument for async code.
    """
    if is_async(handler):
        return LoopHandler(handler, wrap)
    return partial(_call, handler, wrap) if callable(handler) else handler


class LoopHandler:
    """An `async def` handler for threads to call: they wait while it runs on its loop.

    It runs in the context of the code that gave it, with the deadline and the trace of the call on top.
    """

    def __init__(self, handler: Callable[[Any], Any], wrap: Callable[[Any], Any]) -> None:
        self._handler = handler
        self._wrap = wrap
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = copy_context()
        self._context.run(deadline.lift)  # it bounds the code that gave the handler, not the handler's calls
        self.join_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._subscription: Any = None
        self._warning = threading.Lock()
        self._has_warned = False

    def join_loop(self) -> bool:
        """Run on the present loop unless there is one already; return whether there is one now."""
        self._loop = self._loop or asyncio._get_running_loop()
        return self._loop is not None

    def serves(self, subscription: Any) -> None:
        """Close *subscription* if a call finds that the loop has ended."""
        self._subscription = subscription

    def __call__(self, argument: Any) -> Any:
        """Run the handler on its loop and return its result.

        Raises:
            LoopEndedError: Its loop has ended. The subscription is closed.
            UnavailableError: There is no loop yet, or the handler was cancelled.
            InvalidArgumentError: Called by the loop itself, which cannot wait for itself.
        """
        loop = self._loop
        if loop is None:
            raise UnavailableError(
                f"{self._handler!r} has no event loop yet. Serve or host its service in a coroutine."
            )
        if asyncio._get_running_loop() is loop:
            raise InvalidArgumentError(
                f"{self._handler!r} runs on this event loop, so a blocking call that leads to it would never end. "
                f"Await the call, through capa_core.aio."
            )
        outcome: Future[Any] = Future()
        try:
            loop.call_soon_threadsafe(self._begin, argument, outcome, context=self._merged_context())
        except RuntimeError as error:  # it is closed
            self._end(loop, error)
        result = self._wait_for(outcome, loop)
        if result is _CANCELLED:
            if _ends(loop):  # as `asyncio.run` does: it cancels all that runs, then closes the loop
                self._end(loop, None)
            raise UnavailableError(f"the handler {self._handler!r} was cancelled")
        return result

    def __repr__(self) -> str:
        return repr(self._handler)

    def _begin(self, argument: Any, outcome: Future[Any]) -> None:
        if not outcome.set_running_or_notify_cancel():
            return  # the loop was stopped for so long that the caller went on
        task = asyncio.get_running_loop().create_task(self._run(argument))
        self._tasks.add(task)  # the loop itself keeps no strong reference
        task.add_done_callback(partial(self._finish, outcome))

    async def _run(self, argument: Any) -> Any:
        # Called inside the task: a handler that takes other arguments fails there, where its caller learns of it.
        return await self._handler(self._wrap(argument))

    def _finish(self, outcome: Future[Any], task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            outcome.set_result(_CANCELLED)
        elif error := task.exception():
            outcome.set_exception(error)
        else:
            outcome.set_result(task.result())

    def _wait_for(self, outcome: Future[Any], loop: asyncio.AbstractEventLoop) -> Any:
        stopped = False
        while True:
            try:
                return outcome.result(_LOOK_S)
            except TimeoutError:
                if outcome.done():  # meanwhile, or the error is the handler's own
                    return outcome.result()
                if stopped and not loop.is_running():
                    outcome.cancel()
                    break
                stopped = not loop.is_running()
        self._end(loop, None)

    def _merged_context(self) -> Context:
        """Return the context of the handler's registration, overlaid with the variables that this thread has set."""
        merged = self._context.copy()
        for variable, value in copy_context().items():
            merged.run(variable.set, value)
        return merged

    def _end(self, loop: asyncio.AbstractEventLoop, cause: Exception | None) -> NoReturn:
        """Close the subscription without waiting for handlers, so that their messages go to others at once."""
        message = f"the event loop of the handler {self._handler!r} has ended"
        self._end_tasks(loop)
        if self._subscription is not None:
            with self._warning:
                if not self._has_warned:
                    self._has_warned = True
                    _log().warning(f"{message}; its subscription is closed")
            # Each call closes it, not the first alone: none may return before the subscription has stopped.
            close = self._subscription.close
            close(drain=False) if "drain" in inspect.signature(close).parameters else close()
        raise LoopEndedError(f"{message}. Close subscriptions before the loop ends.") from cause

    def _end_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the handlers that run; where the loop is closed, which cannot cancel them, end them on this thread."""
        tasks = list(self._tasks)
        for task in tasks:
            # The calls of these handlers fail with a reason, so asyncio need not report each task as forgotten.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        try:
            for task in tasks:
                loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # it is closed
            self._close_coroutines()

    def _close_coroutines(self) -> None:
        while True:
            try:
                task = self._tasks.pop()  # by one thread only: a coroutine cannot be closed twice at once
            except KeyError:
                return
            coroutine = task.get_coro()
            try:
                if inspect.iscoroutine(coroutine):
                    coroutine.close()
            except Exception as error:  # noqa: BLE001 - a handler that awaits while it is ended
                _log().warning("a handler failed while it was ended after its loop", error=str(error))


def _call(handler: Callable[[Any], Any], wrap: Callable[[Any], Any], argument: Any) -> Any:
    return handler(wrap(argument))


def _ends(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether *loop* stops within a moment."""
    end = time.monotonic() + _LOOK_S
    while loop.is_running() and time.monotonic() < end:
        time.sleep(_SHORT_LOOK_S)
    return not loop.is_running()


def _log() -> Any:
    return telemetry.logger("aio", "default")
