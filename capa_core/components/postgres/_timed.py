"""A connection whose calls end within a deadline, whatever the server does."""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import PQGen

from capa_core.components.postgres._errors import OverdueError

Row = tuple[Any, ...]
_CANCEL_S = 0.5
"""Seconds at most for telling a server that nobody waits any longer: one that is silent does not hear it either."""


class TimedConnection(psycopg.Connection[Row]):
    """A connection whose calls end in time, from `begin` or `limit` on. Used by one thread at a time."""

    limit_s = 5.0
    """The seconds that a message names."""
    limit_name = "timeout_s"
    """The setting that a message names."""
    _end = float("inf")

    def begin(self, timeout_s: float) -> None:
        """Give the calls from now on *timeout_s* in all."""
        self._end = time.monotonic() + timeout_s

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """See `psycopg.Connection.wait`. What does not end in time is cancelled, and the connection closed.

        Raises:
            OverdueError: It did not end in time.
        """
        left_s = self._end - time.monotonic()
        if timeout is not None or left_s == float("inf"):
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, max(0.001, left_s))
        except errors._WaitTimeout as error:
            # The server would carry out what nobody waits for: a repeated call would be done twice.
            if psycopg.capabilities.has_cancel_safe():
                with suppress(psycopg.Error):
                    self.cancel_safe(timeout=min(_CANCEL_S, self.limit_s / 10))
            self.close()
            raise OverdueError(f"no answer within {self.limit_s:.3g} s ({self.limit_name})") from error

    def is_open(self) -> bool:
        """Return whether an idle connection is still open: a server that has closed it has sent something."""
        if self.closed:
            return False
        poll = select.poll()  # `select.select` refuses file descriptors from 1024 on
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)
