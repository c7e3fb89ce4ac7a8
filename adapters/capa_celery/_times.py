"""The times in a task message: how long it waits until it is due, and how long it is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from celery.utils.time import maybe_iso8601, maybe_make_aware

EXPIRY_GRACE_S = 86_400.0
"""Seconds that an expired task stays, so that a worker marks it as revoked and its caller gets that result."""


def delay_and_ttl(fields: Mapping[str, Any], timezone: Any) -> tuple[float, float | None]:
    """Return the seconds until a task is due, and until it may be dropped.

    Args:
        timezone: That of the application, for times that name none.
    """
    eta, expires = fields.get("eta"), fields.get("expires")
    if eta is None and expires is None:
        return 0.0, None
    delay = max(0.0, seconds_until(eta, timezone)) if eta else 0.0
    if expires is None:
        return delay, None
    return delay, max(delay, seconds_until(expires, timezone)) + EXPIRY_GRACE_S


def seconds_until(moment: str, timezone: Any) -> float:
    """Return the seconds until an ISO 8601 time."""
    when = maybe_make_aware(maybe_iso8601(moment), timezone)
    seconds: float = when.timestamp() - time.time()
    return seconds
