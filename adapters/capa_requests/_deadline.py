"""The deadline of the call in progress.

The original waits without limit when no `timeout=` is given. Here such a call gets a deadline for the whole of it:
connecting, redirects, and the body unless it is streamed. It travels in a context variable and not in the
`timeout` argument, because adapters, hooks and mock libraries of the application look at that argument: an
adapter that sets its own timeout "if none was given" must still see that none was given. A call that is given one has
the original's meaning of it, and `longest_s` of the settings for the whole, if that is set.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import monotonic
from typing import Any, Final, NamedTuple

from urllib3.exceptions import ReadTimeoutError

from capa_requests._call_defaults import Settings
from capa_requests._settings import settings

#: No `timeout=` was given. `None` is a timeout too: wait without limit.
UNSET: Final[Any] = object()


class Limits(NamedTuple):
    """The moments (of `time.monotonic`) at which the call in progress must end; `None` for no limit.

    Attributes:
        ends_at: For all of it but a streamed body.
        body_ends_at: For a streamed body.
        given: Whether the call was given a `timeout`.
    """

    ends_at: float | None
    body_ends_at: float | None
    given: bool


_current: ContextVar[Limits | None] = ContextVar("capa_requests_deadline", default=None)

#: While a call waits for its connection it may use this share, so that some dead addresses of one host
#: (each is tried in turn, with this timeout) still end within the deadline.
_CONNECT_SHARE = 4


def given(args: tuple[Any, ...], kwargs: dict[str, Any], place: int) -> Any:
    """Return the `timeout` of a call, its argument number *place* counted from 0; `UNSET` if it has none."""
    return args[place] if len(args) > place else kwargs.get("timeout", UNSET)


def begin(timeout: Any, limits: Settings) -> Token[Limits | None]:
    """Start the deadline of a call that was given *timeout*; the caller passes the result to `end`."""
    now = monotonic()
    longest = now + limits.longest_s if limits.longest_s else None
    if timeout is not UNSET:
        return _current.set(Limits(longest, longest, True))  # by name it takes three times as long
    seconds = limits.without_timeout_s
    return _current.set(Limits(now + seconds if seconds else None, longest, False))


def end(token: Token[Limits | None]) -> None:
    """Restore the deadline from before `begin`."""
    _current.reset(token)


def in_progress() -> bool:
    """Return whether a call is in progress, with or without a deadline."""
    return _current.get() is not None


def ends_at() -> float | None:
    """Return the moment (of `time.monotonic`) at which the call in progress must end; `None` for no deadline."""
    current = _current.get()
    return None if current is None else current.ends_at


def body_limits(read_timeout: float | None) -> tuple[float | None, float | None]:
    """Return how long a streamed body of the call in progress may pause, and the moment at which it must end."""
    current = _current.get()
    if current is None or current.given:
        return read_timeout, current and current.body_ends_at
    return settings().timeout_s or None, current.body_ends_at


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


def at_most(given: float | None, limit: float) -> float:
    """Return the smaller of the seconds that a call was *given*, if it was, and *limit*."""
    return limit if given is None or limit < given else given


def read_timeout(pool: Any, target: str | None = None) -> ReadTimeoutError:
    """Return the error of a read that ended at the deadline, with its reason.

    Args:
        pool: The pool of the connection or, for messages, the name of the service.
    """
    return ReadTimeoutError(pool, target, f"Read timed out: {explanation()}")


def explanation() -> str:
    """Return the reason why a call timed out at its deadline, and the remedy."""
    limits, current = settings(), _current.get()
    if current is None or current.given or limits.without_timeout_s != limits.timeout_s:
        return (
            f"no call may take longer than {limits.longest_s:g} s, whatever its timeout=; "
            "change longest_s under [adapters.requests] in capa.toml"
        )
    return (
        f"no timeout= was given, so the default deadline of {limits.timeout_s:g} s for the whole call applied; "
        "pass timeout=, or set timeout_s under [adapters.requests] in capa.toml"
    )
