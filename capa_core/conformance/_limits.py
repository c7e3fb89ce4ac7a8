"""Functions for tests of declared limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import pytest

AFFORDABLE_BYTES = 16 * 1024**2
"""The largest value that the suite stores: filling an engine up to a higher limit takes too long."""


def affordable(limit: int | None) -> int:
    """Return the number of bytes that a test stores: the limit itself if that is small enough."""
    return AFFORDABLE_BYTES if limit is None else min(limit, AFFORDABLE_BYTES)


def over(limit: int | None) -> bytes:
    """Return zeros, one byte more than *limit*; untouched zeros occupy no memory."""
    if limit is None:
        pytest.skip("no limit is known")
    return bytes(limit + 1)


def unreachable(monkeypatch: pytest.MonkeyPatch, driver: Any, methods: Sequence[str]) -> None:
    """Fail the test if one of *methods* of *driver* is called from now on."""

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError(f"the call reached the driver: {len(args)} {sorted(kwargs)}")

    for method in methods:
        monkeypatch.setattr(driver, method, refuse)
