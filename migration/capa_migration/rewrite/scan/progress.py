"""Progress of a scan: three passes, each with its own number of files."""

from __future__ import annotations

from collections.abc import Callable

READ, FOLLOWED, COUNTED = "read", "followed through imports", "searched for calls"
"""The passes: all files are read, those of an SDK that others import are followed, those that may use one searched."""

Progress = Callable[[int, int, str], None]
"""Called with the number of files done, the number of all as far as it is known, and the pass."""


def no_progress(_done: int, _total: int, _work: str) -> None:
    """Show nothing."""
