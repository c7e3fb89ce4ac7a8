"""The reports of the pool's processes, in the order in which they come, none of them lost."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from capa_celery._threads import WorkerThread
from capa_celery._worker.prefork import _wire
from capa_celery._worker.prefork._slots import Slot
from capa_core.clocks import boot_time

MOST_TRIES = 3
FIRST_LOOK_S, LONGEST_LOOK_S = 0.0005, 0.05

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


class ReportWriter:
    """Sends the reports of one child, and knows which of them the worker has not handled. Safe for many threads."""

    def __init__(self, reports: socket.socket, index: int, slot: Slot) -> None:
        self._reports = reports
        self._index = index
        self._slot = slot
        self._sending = threading.Lock()
        self._count = 0
        self._unhandled: deque[tuple[int, float]] = deque()

    def send(self, kind: str, detail: Any) -> None:
        """Send one report."""
        with self._sending:
            self._reports.send(_wire.pack((kind, self._index, detail)))
            self._count += 1  # after it: one that was not sent is not handled either
            self._unhandled.append((self._count, boot_time()))

    @property
    def unhandled_s(self) -> float:
        """For how long the worker has not handled a report, by the clock of leases; 0 if it has handled all."""
        with self._sending:
            while self._unhandled and self._unhandled[0][0] <= self._slot.handled:
                self._unhandled.popleft()
            return boot_time() - self._unhandled[0][1] if self._unhandled else 0.0

    def wait_until_handled(self) -> None:
        """Wait until the worker has handled all reports, and so settled their tasks."""
        pause_s = FIRST_LOOK_S
        while self.unhandled_s:
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, LONGEST_LOOK_S)
