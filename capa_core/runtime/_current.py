"""The default runtime, which adapters and decorators use if they are given none."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from capa_core.runtime._runtime import Runtime

_lock = threading.Lock()
_current: Runtime | None = None
_pinned: ContextVar[Runtime | None] = ContextVar("capa_pinned_runtime", default=None)
_any_pinned = False
"""Whether a thread was ever pinned: without it, every call of `default_runtime` would read a context variable."""


class Readable:
    """A value of one runtime that is found at once, as `ready`, while that is the default one of every thread.

    The attribute is missing otherwise: the reader has to ask `default_runtime` then. It is that of the object which
    users read, named by `_shown_by`: another attribute in between would be a third of the time that a read takes.
    """

    ready: Any
    _shown_by: Any
    _runtime: Runtime | None
    _value: Any

    def put(self) -> None:
        """Let the value be found, if its runtime is the default one of every thread."""
        with _lock:
            self._put()

    def offer(self) -> None:
        """Do as `put`, unless a thread is about to change that: a read waits for nobody."""
        if _lock.acquire(blocking=False):
            try:
                self._put()
            finally:
                _lock.release()

    def _put(self) -> None:
        if self._runtime is _current and all(each is _current for each in _pinned_ever):
            self.show()
            _readable.add(self)

    def take_away(self) -> None:
        """Let no value be found until the next `put`."""
        with _lock:
            self.hide()

    def show(self) -> None:
        """Let the value be found; the lock is held."""
        self._shown_by.ready = self._value

    def hide(self) -> None:
        """Let it not be found; the lock is held."""
        with suppress(AttributeError):
            # Not by way of `vars`, after which reading an attribute takes longer for good.
            del self._shown_by.ready


_readable: WeakSet[Readable] = WeakSet()
_pinned_ever: WeakSet[Runtime] = WeakSet()


def _take_all_away() -> None:
    """Let no value be found, as another runtime becomes the default one somewhere. The lock is held."""
    for each in _readable:
        each.hide()
    _readable.clear()


def default_runtime() -> Runtime:
    """Return the process's runtime, made on the first call from capa.toml and the environment.

    Making it reads and opens nothing: errors in settings are raised by the first use. It is closed
    when the process ends; running handlers have `drain_s` of the settings to end. A thread that is pinned to a runtime
    gets that one.
    """
    global _current  # noqa: PLW0603 - there is one per process
    if _any_pinned and (pinned := _pinned.get()) is not None:
        return pinned
    if _current is None:
        with _lock:
            if _current is None:
                _current = Runtime()
                atexit.register(_close, _current, os.getpid())
    return _current


def _close(runtime: Runtime, process: int) -> None:
    """Close the runtime if this is the process that made it; a forked child leaves it to its parent."""
    if os.getpid() == process:
        runtime.close_at_exit()


@contextmanager
def use_runtime(runtime: Runtime) -> Iterator[Runtime]:
    """Make *runtime* the default one, in every thread, until the block ends; it is not closed then.

    Meant for tests: `with use_runtime(Runtime.in_memory()): …`
    """
    global _current  # noqa: PLW0603 - there is one per process
    with _lock:
        previous, _current = _current, runtime
        _take_all_away()
    try:
        with nullcontext() if _pinned.get() is None else pin_runtime(runtime):
            yield runtime
    finally:
        with _lock:
            _current = previous
            _take_all_away()


@contextmanager
def pin_runtime(runtime: Runtime) -> Iterator[None]:
    """Make *runtime* the default one in this thread until the block ends, regardless of `use_runtime` in others.

    For threads that may outlive the block of the `use_runtime` in which they were started: without it, the first call
    that they make afterwards would open an unintended runtime. Their calls in an event loop, and through
    `asyncio.to_thread`, are pinned as well; threads that they start otherwise are not.
    """
    global _any_pinned  # noqa: PLW0603 - as above
    with _lock:
        _any_pinned = True
        if runtime not in _pinned_ever:
            _pinned_ever.add(runtime)
            _take_all_away()
    token = _pinned.set(runtime)
    try:
        yield
    finally:
        _pinned.reset(token)


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it when this child was forked
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
