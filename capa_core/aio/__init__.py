"""The portable types for `async` code: coroutines for their methods, async iterators for iterators.

    from capa_core import aio

    orders = aio.state("orders")
    await orders.put("42", b"paid")
    async for key in orders.scan("4"): ...
    async with aio.lock().lock("invoice-42") as held: ...

The blocking classes are written by hand; this package adds no behaviour of its own. Each call is made in a thread, with
the context of its caller (the deadline of `capa_core.call.deadline.within`, the trace). At most 64 calls run at once,
further ones queue; calls that wait for others (`wait`, `receive`, `acquire`, `invoke`, …) have threads of their own, at
most 1,000. `async def` handlers run on the event loop of the code that gives them.

Cancelling the awaiting task ends a wait within a second. An ordinary call that has begun ends by its own deadline. A
lock, message or consumer that comes after the cancellation is released or closed. An abandoned call
does not delay the end of the process.

The types are in the stub beside this file, which `make docs` generates from the blocking classes.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from capa_core import runtime as _runtime_of_threads
from capa_core.aio._facade import Facade, Opening, facade_type, wrapped
from capa_core.aio._lock import Lock
from capa_core.aio._runtime import Runtime
from capa_core.aio._schedule import Schedule
from capa_core.aio._service import Service
from capa_core.block import block_names
from capa_core.call.traits import facade_name

__all__ = ["Facade", "Lock", "Opening", "Runtime", "Schedule", "Service", "component", "default_runtime"]


def default_runtime() -> Runtime:
    """Return the process's runtime, as `capa_core.default_runtime` does."""
    return Runtime.over(_runtime_of_threads.default_runtime())


def component(
    block: str, name: str = "default", *, runtime: Runtime | _runtime_of_threads.Runtime | None = None
) -> Any:
    """Return the facade over `Runtime.component`; building it may take a moment the first time.

    Raises:
        SettingsError: As `Runtime.component`.
    """
    return _of(runtime).component(block, name)


def _of(runtime: Runtime | _runtime_of_threads.Runtime | None) -> Any:
    return default_runtime() if runtime is None else wrapped(runtime)


def _accessor(
    block: str, *args: Any, runtime: Runtime | _runtime_of_threads.Runtime | None = None, **kwargs: Any
) -> Any:
    return getattr(_of(runtime), block)(*args, **kwargs)


def __getattr__(name: str) -> Any:
    """Return the accessor of a block, such as `state`, or the type of a facade, such as `State`."""
    found = (
        partial(_accessor, name) if name in block_names() else None if name.startswith("_") else _type(name)
    )
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def _type(name: str) -> type[Facade] | None:
    for block in block_names():
        for each in vars(import_module(f"capa_core.blocks.{block}")).values():
            if isinstance(each, type) and facade_name(each) == name:
                return facade_type(each)
    return None
