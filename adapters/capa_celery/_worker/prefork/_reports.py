"""The reports of the pool's processes, in the order in which they come, none of them lost."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from capa_celery._threads import WorkerThread
from capa_celery._worker.prefork import _wire

MOST_TRIES = 3

Report = tuple[str, int, Any]
"""A kind, the index of a child, and what there is to say."""


class ReportReader(WorkerThread):
    """Has each report handled before it reads the next: one whose handling failed is handled again, a second later.

    Args:
        handle: Takes a report. It must bear to get one again that it has handled in part.

    Attributes:
        failure: What ended the handling of a report for the last time; the thread has ended then.
    """

    def __init__(self, reports: socket.socket, handle: Callable[[str, int, Any], object]) -> None:
        super().__init__("capa-reports", self._read, stopping=lambda: self.failure is not None)
        self._reports = reports
        self._handle = handle
        self._in_hand: Report | None = None
        self._tries = 0
        self.failure: BaseException | None = None

    def _read(self) -> None:
        while (report := self._next()) is not None:
            self._tries += 1
            try:
                self._handle(*report)
            except BaseException as error:
                if self._tries >= MOST_TRIES:
                    self.failure = error
                raise
            self._in_hand, self._tries = None, 0

    def _next(self) -> Report | None:
        """Return the report that is not handled yet, or else the next; `None` when the last process has ended."""
        if self._in_hand is None:
            packet = self._reports.recv(_wire.LARGEST)
            if packet == _wire.PARENT_GONE:
                return None
            kind, index, detail = _wire.unpack(packet)
            self._in_hand = kind, index, detail
        return self._in_hand
