"""Colour and progress, for a person at a terminal and for nobody else."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

_QUIET_S = 1.0
_EVERY_S = 0.2


def has_colour(stream: TextIO) -> bool:
    """Say whether *stream* is a terminal whose user has not asked for plain text (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured_diff(text: bytes) -> bytes:
    """Return a unified diff with its lines in the usual colours."""
    return b"".join(_coloured(line) for line in text.splitlines(keepends=True))


def _coloured(line: bytes) -> bytes:
    body = line.rstrip(b"\r\n")
    for start, code in ((b"---", b"1"), (b"+++", b"1"), (b"@@", b"36"), (b"-", b"31"), (b"+", b"32")):
        if line.startswith(start):
            return b"\x1b[" + code + b"m" + body + b"\x1b[0m" + line[len(body) :]
    return line


class ProgressLine:
    """One line on standard error with what is left, for runs of more than a second at a terminal."""

    def __init__(self) -> None:
        """Start the clock."""
        self._begun = self._shown = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._width = 0

    def __call__(self, done: int, total: int) -> None:
        """Show that *done* of *total* files are done, if it is time to."""
        now = time.monotonic()
        if not self._wanted or now - self._begun < _QUIET_S or now - self._shown < _EVERY_S:
            return
        self._shown = now
        left_s = (now - self._begun) * (total - done) / max(done, 1)
        self._show(f"{done:,} of {total:,} files, {left_s:.0f} s left")

    def close(self) -> None:
        """Take the line away."""
        if self._width:
            self._show("")
            self._width = 0

    def _show(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._width}}" + ("" if text else "\r"))
        sys.stderr.flush()
        self._width = len(text)
