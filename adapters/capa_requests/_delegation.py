"""Calls that are passed to a method of the original's that has been replaced.

The replacement may pass a call on to the function that it took for the original: to our method, where only one of the
two names has moved (`real = HTTPAdapter.send` of `capa_requests.adapters`, and then a
`patch("requests.adapters.HTTPAdapter.send", …)` that calls `real`). Passed on again, that call would never end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: The object whose method is called, and its argument. A call with another argument is a new one, which the
#: replacement must see too.
Call = tuple[object, object]

_in_progress: ContextVar[tuple[Call, ...]] = ContextVar("capa_requests_delegation", default=())


def is_in_progress(call: Call) -> bool:
    """Return whether *call* comes from the method that it has been passed to."""
    return call in _in_progress.get()


@contextmanager
def delegating(call: Call) -> Iterator[None]:
    """Pass *call* on in this block."""
    token = _in_progress.set((*_in_progress.get(), call))
    try:
        yield
    finally:
        _in_progress.reset(token)
