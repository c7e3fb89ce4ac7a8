"""The tolerance of tests that measure time."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

SLOW_MACHINE_S = 5.0
"""Seconds by which a busy machine may delay what is due, which are not part of an engine's promise.

A test that adds them has an engine that breaks the promise take far longer, or for ever.
"""
PROMPT_S = 1.0
"""Seconds within which a waiting call must return when it is woken or its time is over."""
PATIENCE_S = 30.0
"""Seconds after which what must come is not waited for any longer."""
_LOOK_S = 0.01


def is_prompt(seconds: Callable[[], float], within_s: float = PROMPT_S) -> bool:
    """Return whether one of three tries takes less than *within_s*: a busy machine delays some, and hastens none.

    Args:
        seconds: Tries once, and returns how long it took.
    """
    return any(seconds() < within_s for _ in range(3))


def wait_until(
    holds: Callable[[], object], *, patience_s: float = PATIENCE_S, told: Callable[[], object] = str
) -> None:
    """Wait until *holds* returns something true.

    Args:
        told: What the error is to show.

    Raises:
        AssertionError: It does not within *patience_s*.
    """
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, f"it did not come to hold within {patience_s} s: {told()}"
        time.sleep(_LOOK_S)


def woken_s(wait: Callable[[], object], write: Callable[[], object]) -> float:
    """Return how long after the call of *write* a call of *wait* returns, which has waited for it."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: (wait(), time.monotonic()))
        time.sleep(0.3)
        written = time.monotonic()
        write()
        return waiting.result()[1] - written
