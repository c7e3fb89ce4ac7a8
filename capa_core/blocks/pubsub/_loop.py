"""One event loop on a thread of its own, for all `async def` handlers of a subscription."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from capa_core.supervision import SupervisedThread


class HandlerLoop:
    """Runs coroutines for threads that wait for them. It starts at once and ends with `stop`.

    Args:
        log: As for `SupervisedThread`.
    """

    def __init__(self, name: str, log: Callable[[], Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._handing_over = threading.Lock()
        self._stopped = False
        self._left = False
        self.thread = SupervisedThread(name, self._serve, log=log, stopping=lambda: False)
        self.thread.start()

    def run(self, handler: Callable[[Any], Any], argument: Any) -> Any:
        """Return the result of the coroutine of *handler*.

        Raises:
            CancelledError: (concurrent.futures') The loop was stopped.
        """
        with self._handing_over:
            if self._stopped:
                raise CancelledError
            future = asyncio.run_coroutine_threadsafe(_held_back(handler, argument), self._loop)
        result = future.result()
        if isinstance(result, _Exit):
            raise result.error
        return result

    def stop(self) -> None:
        """Cancel running handlers, and end the thread, after 1 s even if a handler blocks the loop."""
        with self._handing_over:  # a coroutine passed before is a task by then, and cancelled
            if not self._stopped:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        self.thread.join(timeout=1.0)

    def _serve(self) -> None:
        """Run the loop until `stop`. After an exit that a task raised, the others go on where they were."""
        if not self._left:
            self._loop.run_forever()
            self._left = True
        self._loop.run_until_complete(_cancel(asyncio.all_tasks(self._loop)))
        self._loop.close()


@dataclass(frozen=True, slots=True)
class _Exit:
    """An exit that a handler raised: were it to leave the coroutine, it would stop the loop for all handlers."""

    error: BaseException


async def _held_back(handler: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return await handler(argument)
    except (SystemExit, KeyboardInterrupt) as error:
        return _Exit(error)


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
