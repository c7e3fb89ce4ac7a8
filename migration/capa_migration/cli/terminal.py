"""The terminal: whether to use colour, a progress line, a question, signals that ask to end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self, TextIO

from capa_migration.errors import OptionsError

_QUIET_S = 1.0
_EVERY_S = 0.2


def has_colour(stream: TextIO, *, wanted: bool | None = None) -> bool:
    """Return whether *stream* is to have colour: as *wanted*, where that is not None.

    NO_COLOR (https://no-color.org) overrides FORCE_COLOR (https://force-color.org); both override the kind of stream.
    """
    if wanted is not None:
        return wanted
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def confirms(question: str, action: str, verb: str) -> bool:
    """Return whether the user confirms *question*; the end of the input does not.

    Args:
        action: The name of the command that asks.
        verb: The change that it makes.

    Raises:
        OptionsError: Standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise OptionsError(
            f"{action} asks for confirmation, and standard input is not a terminal: add --yes to {verb} without asking"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


class ProgressLine:
    """A progress line on standard error with rate and time left, for runs of more than a second at a terminal."""

    def __init__(self, things: str = "files") -> None:
        """Start the clock; *things* is the plural of what is counted."""
        self._things = things
        self._begun = self._shown = time.monotonic()
        self._work = ""
        self._measured_from = (self._begun, 0)
        self._wanted = sys.stderr.isatty()
        self._width = 0

    def __call__(self, done: int, total: int, work: str = "") -> None:
        """Show that *done* of *total* are done, at most five times a second; *done* is 0 until one is begun.

        Args:
            done: Those that are really done.
            total: All, as far as the number is known.
            work: What is done to them. Other work has another rate, which is measured anew.
        """
        if not self._wanted:
            return
        now = time.monotonic()
        if not done or work != self._work:
            self._work, self._measured_from = work, (now, done)
        if now - self._begun < _QUIET_S or now - self._shown < _EVERY_S:
            return
        self._shown = now
        self._show(f"{done:,} of {total:,} {self._things} {work}".rstrip() + self._estimate(now, done, total))

    def __enter__(self) -> Self:
        """Show progress until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the line."""
        if self._width:
            self._show("")
            self._width = 0

    def _estimate(self, now: float, done: int, total: int) -> str:
        """Return the rate and the time left, once both have been measured for long enough."""
        begun, done_before = self._measured_from
        if now - begun < _QUIET_S or done == done_before:
            return ""
        rate = (done - done_before) / (now - begun)
        return f", {rate:,.0f}/s, {_duration((total - done) / rate)} left"

    def _show(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._width}}" + ("" if text else "\r"))
        sys.stderr.flush()
        self._width = len(text)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


@contextmanager
def signals_to_end() -> Iterator[list[int]]:
    """Yield the list of signals that asked to end; the second one interrupts at once."""
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
