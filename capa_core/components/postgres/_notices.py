"""Notices that wake waiting consumers: within the process by events, from others by LISTEN on one connection.

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

from capa_core.components.postgres._connection import Connection, Notice
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.supervision import SupervisedThread

RECHECK_S = 1.0


class Notices:
    """The notices of one schema, by topic. The listening connection is opened with the first wait."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._channel = f"capa_{settings.schema_name}"
        self.forget()

    def forget(self) -> None:
        """Begin without listeners: after a fork those here are the parent's."""
        self._lock = threading.Lock()
        self._events: defaultdict[str, list[threading.Event]] = defaultdict(list)
        self._thread: SupervisedThread | None = None
        self._connection: Connection | None = None
        self._closed = False

    @contextmanager
    def listen(self, topic: str) -> Iterator[threading.Event]:
        """Give an event that each notice about *topic* sets, for the length of a `with` block."""
        event = threading.Event()
        with self._lock:
            self._events[topic].append(event)
            if not self._settings.pooler and self._thread is None and not self._closed:
                self._thread = SupervisedThread(
                    "capa-postgres-notices", self._receive, stopping=self._is_closed
                )
                self._thread.start()
        try:
            yield event
        finally:
            with self._lock:
                self._events[topic].remove(event)
                if not self._events[topic]:
                    del self._events[topic]

    def about(self, topic: str) -> Notice:
        """Return the notice that wakes the consumers of *topic* in other processes."""
        return Notice(self._channel, topic)

    def signal(self, topic: str) -> None:
        """Wake the consumers of *topic* in this process."""
        with self._lock:
            for event in self._events.get(topic, ()):
                event.set()

    def close(self) -> None:
        """Wake all consumers and end the listening connection."""
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
            with suppress(psycopg.OperationalError), Connection.open(self._settings) as connection:
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
                    self.signal(notice.payload)
        finally:
            self._connection = None

    def _wake_all(self) -> None:
        for events in self._events.values():
            for event in events:
                event.set()

    def _is_closed(self) -> bool:
        return self._closed
