"""Listeners of the shape `f(namespace, {key: {"old": …, "new": …}})`, of apollo-config-client and apollocfg."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from capa_apollo._key_changes import key_changes

Changes = dict[str, dict[str, Any]]
DictListener = Callable[[str, Changes], object]


def changes_between(old: Mapping[str, str], new: Mapping[str, str], hidden: Collection[str] = ()) -> Changes:
    """Return key → old and new text, each `None` where there is none, of the keys that changed, without *hidden*."""
    changes = key_changes(old, new)
    return {one.key: {"old": one.old, "new": one.new} for one in changes if one.key not in hidden}


def notify_all(listeners: Iterable[DictListener], namespace: str, changes: Changes) -> None:
    """Call each of *listeners* with a copy of *changes*; an exception is logged, and the others are called."""
    for listener in list(listeners):
        try:
            listener(namespace, {key: dict(change) for key, change in changes.items()})
        except Exception:
            logging.getLogger(__name__).exception("an Apollo change listener failed")


def on_loop(listener: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> DictListener:
    """Return a listener that runs *listener*, an `async def`, on *loop*; its exceptions are logged.

    Raises:
        TypeError: *listener* is no coroutine function.
    """
    if not inspect.iscoroutinefunction(listener):
        raise TypeError(f"{_name(listener)} is no coroutine function: register it as a plain callback")

    def schedule(namespace: str, changes: Changes) -> None:
        def run() -> None:
            task = loop.create_task(listener(namespace, changes))
            _running.add(task)
            task.add_done_callback(_ended)

        try:
            loop.call_soon_threadsafe(run)
        except RuntimeError as error:  # the loop is closed
            logging.getLogger(__name__).warning(
                "no event loop runs the change listener of %s: %s", namespace, error
            )

    return schedule


def refuse_coroutine_function(listener: Callable[..., Any], instead: str) -> None:
    """Raise `TypeError` for an `async def`, whose coroutine nobody would await."""
    if inspect.iscoroutinefunction(listener):
        raise TypeError(f"{_name(listener)} is a coroutine function, which nobody would await: use {instead}")


_running: set[asyncio.Task[Any]] = set()
"""Tasks that run: a loop holds them only weakly."""


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger(__name__).error("an Apollo change listener failed", exc_info=error)


def _name(listener: object) -> str:
    return repr(getattr(listener, "__qualname__", listener))
