"""Calls that are handed on to a method of the original's that has been replaced.

The replacement may pass a call on to what it took for the original: to our method, where only one of the two
names has moved (`real = HTTPAdapter.send` of `capa_requests.adapters`, and then a
`patch("requests.adapters.HTTPAdapter.send", …)` that calls `real`). Handed on again, that call would never end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: The object whose method is called, and what it is called with. A call with something else is a new one, which
#: the replacement wants to see too.
Call = tuple[object, object]

_under_way: ContextVar[tuple[Call, ...]] = ContextVar("capa_requests_handed_on", default=())


def comes_back(call: Call) -> bool:
    """Tell whether *call* comes from what it has been handed on to."""
    return call in _under_way.get()


@contextmanager
def to_the_original(call: Call) -> Iterator[None]:
    """Hand *call* on in this block."""
    token = _under_way.set((*_under_way.get(), call))
    try:
        yield
    finally:
        _under_way.reset(token)
