"""The deadline of the current thread or task: bounds nested calls, so that they do not outlive their caller."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "x-capa-timeout-ms"
"""Carries the caller's remaining milliseconds with a request."""

_end: ContextVar[float | None] = ContextVar("capa_deadline", default=None)


def remaining_s(limit_s: float) -> float:
    """Return the smaller of *limit_s* and the time left in the enclosing `within`; 0 if that has passed."""
    end = _end.get()
    return limit_s if end is None else max(0.0, min(limit_s, end - time.monotonic()))


def lift() -> None:
    """Remove the deadline of the enclosing `within` from the current context."""
    _end.set(None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound the calls in the block to *seconds* in total; a shorter enclosing bound wins."""
    token = _end.set(time.monotonic() + remaining_s(seconds))
    try:
        yield
    finally:
        _end.reset(token)
