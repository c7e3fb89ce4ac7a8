"""What is found: a statement, then the simple commands in it."""

from __future__ import annotations

from typing import NamedTuple


class Statement(NamedTuple):
    """What may be a command: a *text* for a shell, or else the *words* of one command."""

    line: int
    text: str = ""
    words: tuple[str, ...] = ()


class Simple(NamedTuple):
    """One command with its arguments, without assignments and wrappers before it."""

    line: int
    words: tuple[str, ...]
