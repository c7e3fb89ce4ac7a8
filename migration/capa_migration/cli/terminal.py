"""Terminal output: whether to use colour, and a progress line."""

from __future__ import annotations

import os
import sys
import time
from typing import Self, TextIO

_QUIET_S = 1.0
_EVERY_S = 0.2


def has_colour(stream: TextIO) -> bool:
    """Return whether *stream* is to have colour.

    NO_COLOR (https://no-color.org) overrides FORCE_COLOR (https://force-color.org); both override the kind of stream.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class ProgressLine:
    """A progress line on standard error with rate and time left, for runs of more than a second at a terminal."""

    def __init__(self) -> None:
        """Start the clock."""
        self._begun = self._prepared = self._shown = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._width = 0

    def __call__(self, done: int, total: int) -> None:
        """Show that *done* of *total* files are done, at most five times a second; *done* is 0 until one is begun."""
        if not self._wanted:
            return
        now = time.monotonic()
        if not done:
            self._prepared = now
        if now - self._begun < _QUIET_S or now - self._shown < _EVERY_S:
            return
        self._shown = now
        text = f"{done:,} of {total:,} files"
        if done:
            rate = done / max(now - self._prepared, _EVERY_S)
            text += f", {rate:,.0f}/s, {_duration((total - done) / rate)} left"
        self._show(text)

    def __enter__(self) -> Self:
        """Show progress until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the line."""
        if self._width:
            self._show("")
            self._width = 0

    def _show(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._width}}" + ("" if text else "\r"))
        sys.stderr.flush()
        self._width = len(text)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
