"""Access to a file that other processes write too: the wait for a turn, and the errors of waiting."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from capa_core.components.sqlite._errors import explain, result_code
from capa_core.components.sqlite._line import LONGEST_PAUSE_S, Line
from capa_core.components.sqlite._uptime import Connection
from capa_core.errors import DeadlineError, UnavailableError

T = TypeVar("T")


class Access:
    """The turns of this process at the file *path*, each within *timeout_s*. Used by one thread at a time."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._path = path
        self._line = Line(path)

    def begin(self, connection: Connection) -> None:
        """Open a transaction, in the line of all processes that write.

        Raises:
            DeadlineError: Others wrote all the time.
            UnavailableError: One process kept the file locked.
        """
        with self.in_line():
            self.until_free(lambda: connection.execute("BEGIN IMMEDIATE"))

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """Run the block as the first of the processes that wait to write.

        Raises:
            DeadlineError: Others were first all the time.
        """
        try:
            with self._line.first(self.timeout_s):
                yield
        except TimeoutError:
            raise self.no_turn(self.timeout_s) from None

    def until_free(self, function: Callable[[], T]) -> T:
        """Call *function* until no other process locks the file.

        This is a wait, not a retry as in the portable type: SQLite refuses these statements at once, without its busy
        timeout, while another process opens the same new file. The steps of that timeout also grow to 100 ms.

        Raises:
            UnavailableError: One process kept the file locked.
        """
        end = time.monotonic() + self.timeout_s
        while True:
            try:
                return function()
            except sqlite3.OperationalError as error:
                if result_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > end:
                    raise self._locked() from error
            time.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311 - no secret

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Run the block, whose errors `explain` explains."""
        try:
            yield
        except sqlite3.Error as error:
            self.explain(error)
            raise

    def explain(self, error: sqlite3.Error) -> None:
        """Raise Capa's error with the file and the next step, for those of SQLite's that lack both; ignore others.

        Raises:
            CapaError: The type for the result code.
        """
        if result_code(error) == sqlite3.SQLITE_BUSY:
            raise self._locked() from error
        explain(error, self._path)

    def no_turn(self, waited_s: float) -> DeadlineError:
        """Return the error of a wait of *waited_s* in which others wrote."""
        return DeadlineError(
            f"{self._path}: no turn to write within {waited_s:g} s: others wrote all the time, or one of them "
            "was stopped. Nothing was done. Try again, or raise `timeout_s` of the component."
        )

    def close(self) -> None:
        """Close the file of the line, as must be done before a fork."""
        self._line.close()

    def _locked(self) -> UnavailableError:
        return UnavailableError(
            f"{self._path} stayed locked by another process for {self.timeout_s:g} s. Nothing was done. Try again."
        )
