"""The portable types for `async` code: the same objects, with each call made in a thread.

    from capa_core import aio

    orders = aio.state("orders")
    await orders.put("42", b"paid")
    async for key in orders.scan("4"): ...

There is one hand-written colour, the synchronous one; this module adds no behaviour of its own. A deadline set by
`capa_core.call.deadline.within` and the current trace go along into the thread. Cancelling the awaiting task does
not stop the call that runs: it ends by its own deadline.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from capa_core.runtime import Runtime, default_runtime

THREADS = 64
"""Calls under way at once, over all facades; more wait. Waiting calls (`wait`, `receive`) hold one each."""

_END = object()
_pool: ThreadPoolExecutor | None = None


class Facade:
    """*portable* with coroutines for methods and async iterators for iterators; other attributes as they are."""

    def __init__(self, portable: Any) -> None:
        self._portable = portable

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._portable, name)
        if not callable(attribute):
            return attribute
        return partial(_Result, attribute)

    def __repr__(self) -> str:
        return f"<async {self._portable!r}>"


class _Result:
    """What a call gives: awaited, its result; iterated, the items of its result."""

    def __init__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        self._call = partial(function, *args, **kwargs)

    def __await__(self) -> Any:
        return _in_thread(self._call).__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        items: Iterator[Any] = iter(await self)
        while (item := await _in_thread(partial(next, items, _END))) is not _END:
            yield item


async def _in_thread(call: Callable[[], Any]) -> Any:
    global _pool  # noqa: PLW0603 - made on first use, so that importing starts nothing
    if _pool is None:
        _pool = ThreadPoolExecutor(THREADS, thread_name_prefix="capa-aio")
    return await asyncio.get_running_loop().run_in_executor(_pool, copy_context().run, call)


def _forget_threads() -> None:
    global _pool  # noqa: PLW0603 - as above
    _pool = None  # it believes in the parent's threads, which a forked child has not got


os.register_at_fork(after_in_child=_forget_threads)


def component(block: str, name: str = "default", *, runtime: Runtime | None = None) -> Facade:
    """Return the facade over `Runtime.component`; building it may take a moment the first time.

    Raises:
        SettingsError: As `Runtime.component`.
    """
    return Facade((runtime or default_runtime()).component(block, name))


state = partial(component, "state")
pubsub = partial(component, "pubsub")
lock = partial(component, "lock")
configuration = partial(component, "configuration")
secrets = partial(component, "secrets")
invocation = partial(component, "invocation")
