"""Cancellation of waiting calls: a request ends a wait early, on every engine.

Engines have no common way to interrupt a blocking call from another thread, so a wait that may be cancelled is made
in parts, and the request is checked between them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PART_S = 1.0
"""The longest part, and so the longest time for which a cancelled wait occupies its thread."""

_requested: ContextVar[threading.Event | None] = ContextVar("capa_cancellation", default=None)


@contextmanager
def cancelled_by(request: threading.Event) -> Iterator[None]:
    """Let *request* end the waits that are made inside the block."""
    token = _requested.set(request)
    try:
        yield
    finally:
        _requested.reset(token)


def parts(timeout_s: float) -> Iterator[float]:
    """Yield the seconds for each part of a wait of *timeout_s*: a single one unless the wait may be cancelled."""
    request = _requested.get()
    if request is None:
        yield timeout_s
        return
    end = time.monotonic() + timeout_s
    left_s = timeout_s
    while not request.is_set():
        yield min(left_s, PART_S)
        left_s = end - time.monotonic()
        if left_s <= 0:
            return


def requested() -> bool:
    """Return whether the caller of this wait was cancelled."""
    request = _requested.get()
    return request is not None and request.is_set()


def sleep(seconds: float) -> None:
    """Sleep, but no longer than until the caller is cancelled."""
    request = _requested.get()
    if request is None:
        time.sleep(seconds)
    else:
        request.wait(seconds)
