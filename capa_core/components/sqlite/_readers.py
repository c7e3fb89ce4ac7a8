"""The connections that read: used again, by as many threads as read at once."""

from __future__ import annotations

import threading

from capa_core.components.sqlite._uptime import Connection


class Readers:
    """The reading connections of one file. None is open from `pause` until `resume`."""

    def __init__(self) -> None:
        self._idle: list[Connection] = []
        self._reading = 0
        self._paused = False
        self._turn = threading.Condition(threading.Lock())

    def begin(self) -> Connection | None:
        """Register a reader and return an idle connection; `None` if there is none. Waits while it is paused."""
        with self._turn:
            while self._paused:
                self._turn.wait()
            self._reading += 1
            return self._idle.pop() if self._idle else None

    def end(self, connection: Connection | None) -> None:
        """Unregister a reader, and keep its *connection* for another one."""
        with self._turn:
            self._reading -= 1
            if connection is not None:
                self._idle.append(connection)
            if self._paused:
                self._turn.notify_all()

    def pause(self) -> None:
        """Wait for the readers, close their connections, and block new ones until `resume`."""
        with self._turn:
            self._paused = True
            self._turn.wait_for(lambda: not self._reading)
            while self._idle:
                self._idle.pop().close()

    def resume(self, *, in_child: bool) -> None:
        """Allow readers again; in a forked child, drop the waiting threads of the parent."""
        if in_child:
            self._turn = threading.Condition(threading.Lock())
        with self._turn:
            self._paused = False
            self._turn.notify_all()
