"""Console output of the demonstration: numbered steps and times, colour on a terminal only."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

GREEN, RED, BLUE, BOLD, DIM = "32", "31", "36", "1", "2"
# A pause for readers at a terminal; a log file needs none.
PAUSE_S = 0.8


class Console:
    """Output to one stream: `step` prints numbered headings, everything else is indented below them."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Start the clock."""
        self._out = out
        self._started = time.monotonic()
        self._number = 0
        self._is_terminal = out.isatty()
        self._has_colour = self._is_terminal and "NO_COLOR" not in os.environ

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def title(self, text: str) -> None:
        """Print the headline."""
        self._line(self._paint(text, BOLD))

    def step(self, text: str) -> None:
        """Print the next numbered heading."""
        if self._is_terminal and self._number:
            time.sleep(PAUSE_S)
        self._number += 1
        clock = self._paint(f"[{self.elapsed_s:5.1f} s]", DIM)
        self._line(f"\n{clock} {self._paint(f'{self._number}. {text}', BOLD)}")

    def command(self, text: str) -> None:
        """Print a command as typed at a prompt."""
        self._line(f"  {self._paint('$ ' + text, BLUE)}")

    def text(self, content: str = "") -> None:
        """Print an indented line or several."""
        for line in content.splitlines() or [""]:
            self._line(f"  {line}".rstrip())

    def good(self, text: str) -> None:
        """Print a success."""
        self._line(f"  {self._paint('✓', GREEN)} {text}")

    def bad(self, text: str) -> None:
        """Print a failure."""
        self._line(f"  {self._paint('✗', RED)} {text}")

    def diff(self, text: str) -> None:
        """Print a unified diff."""
        for line in text.splitlines():
            colour = {"+": GREEN, "-": RED, "@": BLUE}.get(line[:1], "")
            self.text(self._paint(line, colour) if colour else line)

    def progress(self, text: str) -> None:
        """Rewrite the present line on a terminal; print nothing elsewhere."""
        if self._is_terminal:
            self._out.write(f"\r\x1b[K  {text}")
            self._out.flush()

    def end_progress(self) -> None:
        """Clear the progress line."""
        self.progress("")
        if self._is_terminal:
            self._out.write("\r")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._has_colour else text

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
