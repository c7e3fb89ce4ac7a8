"""Checks of the arguments of lock calls."""

from __future__ import annotations

from capa_core.blocks.lock.driver import LONGEST_NAME, LockLimits
from capa_core.call import checks
from capa_core.call.checks import Duration, seconds


def check_text(subject: str, text: object) -> None:
    """Check that *text* is 1 to 512 characters of Unicode.

    Raises:
        InvalidArgumentError: It is something else.
    """
    checks.check_text(subject, text, LONGEST_NAME)


def lease_seconds(lease: Duration, limits: LockLimits) -> float:
    """Return a lease in seconds.

    Raises:
        InvalidArgumentError: It is not a span of time within *limits*.
    """
    return seconds("lease", lease, least=limits.min_lease_s, most=limits.max_lease_s)
