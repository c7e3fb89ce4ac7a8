"""Notices that wake those who wait: within the process by events, from others by LISTEN on one connection.

A notice may be lost, with its process or a connection. Consumers look by themselves each `RECHECK_S`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from capa_core.components.postgres._connection import Connection
from capa_core.components.postgres._database import Database
from capa_core.components.postgres._notifier import Notifier
from capa_core.supervision import SupervisedThread

RECHECK_S = 1.0


class Listener(threading.Event):
    """One who waits for notices. Used by one thread."""

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether there was a notice since the last wait, or comes within *timeout* seconds."""
        came = super().wait(timeout)
        self.clear()
        return came


class Notices:
    """The notices of one block in one schema, by subject. The listening connection is opened with the first wait."""

    def __init__(self, database: Database) -> None:
        self._settings = database.settings
        self._channel = f"{database.settings.schema_name}_{database.block}"
        self._notifier = Notifier(database, self._channel)
        self.forget()

    def forget(self) -> None:
        """Begin without listeners: after a fork those here are the parent's."""
        self._notifier.forget()
        self._lock = threading.Lock()
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._thread: SupervisedThread | None = None
        self._connection: Connection | None = None
        self._closed = False

    @contextmanager
    def listen(self, subject: str) -> Iterator[Listener]:
        """Listen for notices about *subject* for the length of a `with` block."""
        listener = Listener()
        with self._lock:
            self._listeners[subject].append(listener)
            if self._thread is None and not self._closed:
                self._thread = SupervisedThread(
                    "capa-postgres-notices", self._receive, stopping=self._is_closed
                )
                self._thread.start()
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners[subject].remove(listener)
                if not self._listeners[subject]:
                    del self._listeners[subject]

    def signal(self, subject: str, *, elsewhere: bool = True) -> None:
        """Wake the waiters for *subject*: here at once, in other processes soon if they may be *elsewhere*."""
        self._wake(subject)
        if elsewhere:
            self._notifier.send(subject)

    def close(self) -> None:
        """Send the last notices, wake all consumers, and end the listening connection."""
        self._notifier.close(self._settings.timeout_s)
        with self._lock:
            self._closed = True
            thread, connection = self._thread, self._connection
            self._wake_all()
        if connection is not None:
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
        if thread is not None:
            thread.join(self._settings.timeout_s)

    def _receive(self) -> None:
        while not self._closed:
            # The consumers report a server that is down: they ask it themselves.
            with (
                suppress(psycopg.OperationalError),
                Connection.open(self._settings) as connection,
            ):
                if connection.is_pooled:  # they look by themselves
                    return
                self._receive_from(connection)
            if not self._closed:
                time.sleep(RECHECK_S)

    def _receive_from(self, connection: Connection) -> None:
        connection.begin(self._settings.timeout_s)
        connection.run(f'LISTEN "{self._channel}"')
        connection.begin(float("inf"))
        with self._lock:
            self._connection = connection
            self._wake_all()  # what was published before the connection was there gave no notice
        try:
            while not self._closed:
                for notice in connection.notifies(timeout=RECHECK_S):
                    self._wake(notice.payload)
        finally:
            self._connection = None

    def _wake(self, subject: str) -> None:
        with self._lock:
            for listener in self._listeners.get(subject, ()):
                listener.set()

    def _wake_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.set()

    def _is_closed(self) -> bool:
        return self._closed
