"""Notices to other processes, sent beside the calls that cause them."""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg

from capa_core.components.postgres._database import Database
from capa_core.errors import CapaError
from capa_core.supervision import SupervisedThread

PAUSE_S = 0.001
"""Seconds between two notices: those about one subject meanwhile become one."""


class Notifier:
    """The sender of notices on *channel*. Its thread starts with the first one, and ends behind a pooler.

    They are not sent in the transactions that cause them: those with a notice wait for each other at their ends, while
    the disk works.
    """

    def __init__(self, database: Database, channel: str) -> None:
        self._database = database
        self._channel = channel
        self.forget()

    def forget(self) -> None:
        """Begin without notices: after a fork those here are the parent's."""
        self._lock = threading.Lock()
        self._subjects: set[str] = set()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread: SupervisedThread | None = None

    def send(self, subject: str) -> None:
        """Notify those who wait for *subject* soon; do nothing after `close` and behind a pooler."""
        with self._lock:
            if self._closing.is_set():
                return
            self._subjects.add(subject)
            if self._thread is None:
                self._thread = SupervisedThread(
                    "capa-postgres-notifier", self._send, stopping=self._closing.is_set
                )
                self._thread.start()
        self._due.set()

    def close(self, timeout_s: float) -> None:
        """Send what is to be sent, within *timeout_s*, and end the thread."""
        with self._lock:
            self._closing.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _send(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            closing = self._closing.is_set()
            with self._lock:
                subjects, self._subjects = list(self._subjects), set()
            # A hint: who waits looks by himself too. The callers report a server that is down.
            with suppress(psycopg.Error, CapaError):
                if subjects and not self._database.notify(self._channel, subjects):
                    self._closing.set()
                    return
            if closing:
                return
            self._closing.wait(PAUSE_S)
