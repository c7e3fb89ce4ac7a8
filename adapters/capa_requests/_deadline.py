"""The deadline of the call in progress.

The original waits without limit when no `timeout=` is given. Here such a call gets a deadline for the whole of it:
connecting, redirects, and the body unless it is streamed. It travels in a context variable and not in the
`timeout` argument, because adapters, hooks and mock libraries of the application look at that argument: an
adapter that sets its own timeout "if none was given" must still see that none was given.
"""

from __future__ import annotations

import math
from contextvars import ContextVar, Token
from time import monotonic
from typing import Any, Final

from capa_requests._settings import settings

#: No `timeout=` was given. `None` is a timeout too: wait without limit.
UNSET: Final[Any] = object()

_ends_at: ContextVar[float | None] = ContextVar("capa_requests_deadline", default=None)

#: While a call waits for its connection it may use this share, so that some dead addresses of one host
#: (each is tried in turn, with this timeout) still end within the deadline.
_CONNECT_SHARE = 4


def given(args: tuple[Any, ...], kwargs: dict[str, Any], place: int) -> Any:
    """Return the `timeout` of a call, its argument number *place* counted from 0; `UNSET` if it has none."""
    return args[place] if len(args) > place else kwargs.get("timeout", UNSET)


def begin(timeout: Any) -> Token[float | None]:
    """Start the deadline of a call that was given *timeout*; the caller passes the result to `end`."""
    if timeout is not UNSET:
        return _ends_at.set(math.inf)
    timeout_s = settings().timeout_s
    return _ends_at.set(monotonic() + timeout_s if timeout_s else math.inf)


def end(token: Token[float | None]) -> None:
    """Restore the deadline from before `begin`."""
    _ends_at.reset(token)


def in_progress() -> bool:
    """Return whether a call is in progress, with or without a deadline."""
    return _ends_at.get() is not None


def ends_at() -> float | None:
    """Return the moment (of `time.monotonic`) at which the call in progress must end; `None` for no deadline."""
    moment = _ends_at.get()
    return None if moment is None or moment == math.inf else moment


def left_s(moment: float) -> float:
    """Return the seconds left until *moment*.

    Raises:
        TimeoutError: There are none.
    """
    seconds = moment - monotonic()
    if seconds <= 0:
        raise TimeoutError(explanation())
    return seconds


def connect_s(moment: float) -> float:
    """Return how many seconds one attempt to connect may take, of those left until *moment*.

    Raises:
        TimeoutError: No time is left.
    """
    return left_s(moment) / _CONNECT_SHARE


def explanation() -> str:
    """Return the reason why a call without `timeout=` timed out, and the remedy."""
    return (
        f"no timeout= was given, so the default deadline of {settings().timeout_s:g} s for the whole call applied; "
        "pass timeout=, or set timeout_s under [adapters.requests] in capa.toml"
    )
