"""Checks of handlers: detects `async def` ones and refuses them where there is no event loop."""

from __future__ import annotations

import inspect

from capa_core.errors import InvalidArgumentError, UnavailableError


class LoopEndedError(UnavailableError):
    """The event loop of an `async def` handler has ended. The subscription that called it is closed, with a warning."""


def is_async(handler: object) -> bool:
    """Return whether calling *handler* makes a coroutine; objects with `async def __call__` included."""
    method = getattr(handler, "__call__", None)  # noqa: B004 - the method itself is inspected
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(method)


def check_plain(subject: str, handler: object) -> None:
    """Check that *handler* can be called by a thread: the coroutine of an `async def` one would never run.

    Raises:
        InvalidArgumentError: It cannot be called, or is `async def`.
    """
    if not callable(handler):
        raise InvalidArgumentError(f"{subject} {handler!r} cannot be called: give a function")
    if is_async(handler):
        raise InvalidArgumentError(
            f"{subject} {handler!r} is `async def`, and this call has no event loop to run it on. "
            f"Give it through capa_core.aio, or give a plain function."
        )
