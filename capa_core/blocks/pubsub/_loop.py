"""One event loop on a thread of its own, for all `async def` handlers of a subscription."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from typing import Any


class HandlerLoop:
    """Runs coroutines for threads that wait for them. It starts at once and ends with `stop`."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._handing_over = threading.Lock()
        self._stopped = False
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.start()

    def run(self, handler: Callable[[Any], Any], argument: Any) -> Any:
        """Return what the coroutine of *handler* returns.

        Raises:
            CancelledError: (concurrent.futures') The loop was stopped.
        """
        with self._handing_over:
            if self._stopped:
                raise CancelledError
            future = asyncio.run_coroutine_threadsafe(handler(argument), self._loop)
        return future.result()

    def stop(self) -> None:
        """Cancel what runs, and end the thread; a handler that blocks the loop is waited for no longer than 1 s."""
        with self._handing_over:  # what was handed over before is a task by then, and cancelled
            if not self._stopped:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        self.thread.join(timeout=1.0)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(_cancel(asyncio.all_tasks(self._loop)))
            self._loop.close()


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
