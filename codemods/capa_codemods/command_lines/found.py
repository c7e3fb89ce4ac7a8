"""Statements, and the simple commands in them."""

from __future__ import annotations

import re
from typing import NamedTuple

_LONGEST = 10_000
"""Letters; a longer text is not a command that a person wrote."""
_KNOWN = re.compile(r"celery|flower|install|add|inject", re.IGNORECASE)

PROGRAMS = frozenset({"celery", "flower"})
"""The programs that start an SDK."""


class Statement(NamedTuple):
    """A possible command: a *text* for a shell, or else the *words* of one command."""

    line: int
    text: str = ""
    words: tuple[str, ...] = ()

    @property
    def is_worth_reading(self) -> bool:
        """Whether it holds a word that a known command has: splitting a text costs more than this search."""
        text = self.text or " ".join(self.words)
        return len(text) <= _LONGEST and _KNOWN.search(text) is not None


class SimpleCommand(NamedTuple):
    """One command with its arguments, without assignments and wrappers before it."""

    line: int
    words: tuple[str, ...]
