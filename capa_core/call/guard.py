"""The guard between a portable type and its driver.

Native errors are translated here and nowhere else; retries happen here and nowhere else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec, TypeVar

from capa_core.call import telemetry
from capa_core.call.budget import RetryBudget
from capa_core.call.conventions import CAPA, Convention
from capa_core.call.subject import Subject
from capa_core.driver import Driver
from capa_core.engine import system_of
from capa_core.errors import CapaError, DeadlineError, PermissionDeniedError, UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """The time limits and the retries of a call.

    Attributes:
        deadline_s: Seconds for the whole call with all its tries. A try is not begun when less than
            *attempt_s* is left, so that the last one can end in time.
        attempt_s: Seconds that one try may take, infinite for as many as the call has; the driver enforces it.
        retries: Tries after the first, for errors that are retryable in calls that are safe to repeat.
        backoff_s: The longest pause before the first retry; it doubles each time up to 2 s, with full jitter.
    """

    deadline_s: float = 10.0
    attempt_s: float = 5.0
    retries: int = 3
    backoff_s: float = 0.05


DEFAULT_POLICY = Policy()

# Errors that a wrong setting may cause: the engine is elsewhere, is slow, or has other credentials.
_OF_SETTINGS = (UnavailableError, DeadlineError, PermissionDeniedError)
_NEXT_STEP = "`capa doctor` shows which setting leads there, and whether it answers."


class Guard:
    """Calls the functions of one driver on behalf of one portable object. Safe for many threads."""

    __slots__ = ("_budget", "_driver", "_subject", "block", "name", "policy")

    def __init__(
        self,
        block: str,
        name: str,
        driver: Driver[Any],
        policy: Policy = DEFAULT_POLICY,
        convention: Convention = CAPA,
    ) -> None:
        self.block = block
        self.name = name
        self.policy = policy
        self._driver = driver
        self._budget = RetryBudget()
        self._subject = Subject(block, name, type(driver), convention)

    def once(self, operation: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *function* once: for calls that are unsafe to repeat.

        Raises:
            CapaError: The native error, translated and chained.
        """
        if telemetry.observing():
            return self._subject.run(operation, lambda: self._plain(operation, function, *args, **kwargs))
        return self._plain(operation, function, *args, **kwargs)

    def safe(self, operation: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *function*, and again after a retryable error, as far as policy, deadline and budget allow.

        Raises:
            CapaError: The last native error, translated and chained.
        """
        last_start = time.monotonic() + self.policy.deadline_s - self.policy.attempt_s
        if telemetry.observing():
            return self._subject.run(
                operation, lambda: self._repeated(operation, last_start, function, *args, **kwargs)
            )
        return self._repeated(operation, last_start, function, *args, **kwargs)

    def each(
        self, operation: str, function: Callable[P, Iterable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[T]:
        """Yield what *function* returns, which is called as by `safe`. What fails between two is not repeated.

        Raises:
            CapaError: A native error, translated and chained.
        """
        try:
            yield from self.safe(operation, function, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - every engine raises its own types; unknown ones propagate unchanged
            self.fail(operation, error)

    def waiting(self, operation: str, end: float, function: Callable[[], T], /) -> T:
        """As `safe`, for a call that itself ends by *end* (monotonic), in place of the policy's deadline.

        Raises:
            CapaError: The last native error, translated and chained.
        """
        if telemetry.observing():
            return self._subject.run(operation, lambda: self._repeated(operation, end, function))
        return self._repeated(operation, end, function)

    def _plain(self, operation: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - every engine raises its own types; unknown ones propagate unchanged
            self.fail(operation, error)

    def _repeated(
        self,
        operation: str,
        last_start: float,
        function: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as above
            first = error
        try:
            return self._again(first, lambda: function(*args, **kwargs), last_start, _harmless)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail(operation, error)

    def repeated(
        self, function: Callable[[], T], last_start: float, harmless: Callable[[Exception], bool]
    ) -> T:
        """Call *function*, and again after a retryable error, for a caller that translates and traces errors itself.

        Args:
            last_start: The time (monotonic) after which no try is begun.
            harmless: Returns whether a repeat after this error is safe.

        Raises:
            Exception: The error of the last try as the driver raised it; pass it to `fail`.
        """
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - as above
            first = error
        return self._again(first, function, last_start, harmless)

    def _again(
        self,
        error: Exception,
        function: Callable[[], T],
        last_start: float,
        harmless: Callable[[Exception], bool],
    ) -> T:
        """Repeat *function*, which failed with *error*, until it succeeds or may no longer be repeated."""
        for attempt in range(self.policy.retries):
            pause_s = self._pause_s(attempt)
            if not harmless(error) or not self._may_repeat(error, last_start - pause_s):
                break
            time.sleep(pause_s)
            try:
                return function()
            except Exception as next_error:  # noqa: BLE001 - as above
                error = next_error
        raise error

    def _may_repeat(self, error: Exception, last_start: float) -> bool:
        named = self.named(error)
        if named is None or not named.retryable or time.monotonic() > last_start:
            return False
        return self._budget.take()

    def _pause_s(self, attempt: int) -> float:
        """Return the seconds to wait before retry number *attempt* (from 0), with full jitter."""
        return random.uniform(0, min(2.0, self.policy.backoff_s * 2**attempt))  # noqa: S311 - no secret

    @property
    def system(self) -> str:
        """The name of the engine for OpenTelemetry."""
        return system_of(type(self._driver))

    def forget(self) -> None:
        """Start a new budget in a forked child: a thread of the parent may have held the lock of the old one."""
        self._budget = RetryBudget()

    def named(self, error: Exception) -> type[CapaError] | None:
        """Return the Capa type for *error*, or `None` if it is not an error of the engine."""
        return type(error) if isinstance(error, CapaError) else self._driver.name_error(error)

    def fail(self, operation: str, error: Exception) -> NoReturn:
        """Raise *error* translated, or unchanged if it is a bug or already translated."""
        named = self.named(error)
        if named is None or isinstance(error, CapaError):
            raise error
        # The first line: engines add their advice for terminals below, and the cause keeps it.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        message = f"{self.block} {self.name!r}: {operation} failed: {reason}"
        if issubclass(named, _OF_SETTINGS) and operation != "ping":  # `capa doctor` itself calls it
            end = "" if message.endswith("?") else "."
            message = f"{message.rstrip('.')}{end} {_NEXT_STEP}"
        raise named(message) from error


def _harmless(error: Exception) -> bool:
    """Return `True`: calls that are safe to repeat are so after any error."""
    del error
    return True
