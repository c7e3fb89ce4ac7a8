"""The append-only journal of a run with faults: every process writes to it what it has done, by single writes.

A line is `EVENT NAME PROCESS TIME`. Producers write `tried`, `sent` (the engine has confirmed it) and `failed` (it may
be there or not); consumers `taken`, `done`, `settled` and `unsettled` (the engine did not confirm the acknowledgement),
and `idle` or `error` where nothing could be taken; the run itself `round`, `fault` or `outage`, and `over`, with their
number as the name. Times are of a clock that all processes share. Nothing but the standard library is imported, so that
what is judged cannot take part.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

EVERYBODY = "*"
"""In the place of the process of a fault: all processes were hit."""
ERRORS = frozenset({"failed", "unsettled", "error"})
"""Of a process that the engine refused something."""


class Line(NamedTuple):
    """One thing that happened."""

    event: str
    name: str
    process: str
    at: float


class Journal:
    """Appends lines; any number of processes at once."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, event: str, names: Iterable[object], process: object = None) -> None:
        """Write one line for each of *names*, all in one write: no process can tear those of another."""
        head, end = event, f"{os.getpid() if process is None else process} {time.monotonic():.6f}\n"
        os.write(self._file, "".join(f"{head} {name} {end}" for name in names).encode())


class Tail:
    """Reads a journal while it grows."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._at = 0

    def new(self) -> list[Line]:
        """Return the lines that were not read yet."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        return [_parsed(line) for line in whole.decode().splitlines()]


def _parsed(line: str) -> Line:
    event, name, process, at = line.split()
    return Line(event, name, process, float(at))
