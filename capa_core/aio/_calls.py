"""Blocking calls, awaited: made in threads, in the context of their callers, and undone if those were cancelled."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from capa_core.aio._threads import Job, Threads
from capa_core.call import cancellation, telemetry
from capa_core.errors import ClosedError, ExhaustedError

CALLS = 64
"""Calls under way at once, over all facades; further ones queue, since each ends within its deadline."""
WAITS = 1000
"""Waiting calls under way at once. One more is refused: in a queue it would outlast its own timeout, and those
before it may be waiting for its effect."""

T = TypeVar("T")

_END = object()


class _Pools:
    """The threads of this process. Waits have threads of their own, so that calls always find one."""

    def __init__(self) -> None:
        self.calls = Threads("capa-aio", CALLS)
        self.waits = Threads("capa-aio-wait")
        self.free_waits = threading.Semaphore(WAITS)

    def wait(self, job: Job) -> None:
        """Run a waiting *job*, which releases `free_waits`.

        Raises:
            ExhaustedError: There are `WAITS` already, or no more threads. The job is not run.
        """
        if not self.free_waits.acquire(blocking=False):
            raise ExhaustedError(
                f"{WAITS} calls of capa_core.aio are waiting already; this one was not made. "
                f"Wait in fewer tasks, or for several things in one call."
            )
        try:
            self.waits.run(job)
        except ExhaustedError:
            self.free_waits.release()
            raise


_pools = _Pools()
os.register_at_fork(after_in_child=_pools.__init__)  # type: ignore[misc] # the child has none of these threads


async def in_thread(call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Make *call* in a thread of the pool and return its result.

    Args:
        undo: Takes back a result that comes after the awaiting task was cancelled; called in a thread.
    """
    return await _made(_Call(call, undo), _pools.calls.run)


async def waiting(call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """As `in_thread`, for a call that waits for others; when the awaiting task is cancelled, the wait ends early.

    Raises:
        ExhaustedError: `WAITS` calls wait already. The call was not made.
    """
    return await _made(_Call(call, undo, _pools.free_waits.release), _pools.wait)


async def closing(close: Callable[[], T]) -> T:
    """As `waiting`, but never refused: closing is how the number of waiting calls shrinks."""
    return await _made(_Call(close, None), _pools.waits.run)


async def iterating(call: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Yield the items of the iterator that *call* returns, each fetched in a thread; closes it at the end."""
    items = iter(await in_thread(call, _close))
    fetching = False
    try:
        while True:
            fetching = True
            item: Any = await in_thread(partial(next, items, _END), lambda _: _close(items))
            fetching = False
            if item is _END:
                return
            yield item
    finally:
        if not fetching:  # else the call that is under way closes it when it returns
            _pools.calls.run(partial(_quietly, partial(_close, items)))


class _Call(Generic[T]):
    """One call between two threads: made in the one, awaited in the other."""

    def __init__(
        self,
        call: Callable[[], T],
        undo: Callable[[T], object] | None,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._call = call
        self._undo = undo
        self._ended = ended
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[T] = self._loop.create_future()
        self._abandoned = threading.Event()
        self._handover = threading.Lock()
        self._returned: list[T] = []

    def __call__(self) -> None:
        """Make the call, unless its caller was cancelled, and pass on the result."""
        if self._abandoned.is_set():
            self._ended()
            return
        try:
            value = self._context.run(self._run)
        except BaseException as error:  # noqa: BLE001 - the awaiting task gets any error
            self._deliver(self._fail, error)
            return
        with self._handover:
            self._returned.append(value)
            wanted = not self._abandoned.is_set()
        if not wanted or not self._deliver(self._succeed, value):
            self.take_back()

    def abandon(self) -> None:
        """End the call early if it waits, and undo its result."""
        with self._handover:
            self._abandoned.set()
            late = bool(self._returned) and self._undo is not None
        if late:
            _pools.calls.run(self.take_back)

    def take_back(self) -> None:
        """Undo the call if it returned; a second time does nothing."""
        with self._handover:
            returned, self._returned = self._returned, []
        if returned and self._undo is not None:
            _quietly(partial(self._undo, returned[0]))

    def _run(self) -> T:
        try:
            with cancellation.cancelled_by(self._abandoned):
                return self._call()
        finally:
            self._ended()  # before the result is known, so that the awaiting task can make the next call

    def _deliver(self, settle: Callable[[Any], None], value: object) -> bool:
        """Call *settle* on the loop; return whether the loop still accepts calls."""
        try:
            self._loop.call_soon_threadsafe(settle, value)
        except RuntimeError:  # the loop was closed: no task awaits the result
            return False
        return True

    def _succeed(self, value: T) -> None:
        if not self.result.done():
            self.result.set_result(value)

    def _fail(self, error: BaseException) -> None:
        if self.result.done() or self._abandoned.is_set():
            return
        if isinstance(error, StopIteration):  # a future refuses it, and its task would never wake
            stopped, error = error, RuntimeError("the call raised StopIteration")
            error.__cause__ = stopped
        self.result.set_exception(error)


async def _made(call: _Call[T], run: Callable[[Job], None]) -> T:
    run(call)
    try:
        return await call.result
    except (asyncio.CancelledError, GeneratorExit):
        call.abandon()
        raise


def _quietly(undo: Callable[[], object]) -> None:
    try:
        undo()
    except ClosedError:
        pass  # closing has undone it
    except Exception:  # noqa: BLE001 - there is no caller to raise it to
        telemetry.logger("aio", "default").exception("the result of a cancelled call could not be taken back")


def _close(items: object) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        close()
