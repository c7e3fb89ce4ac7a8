"""A wait for sockets that other threads end: with a ring, or for good."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")


class Bell:
    """The wait of one component. `waiting` and `select` are for the thread that waits, the rest for any.

    Args:
        let_go: Drops what is held. Called by the waiting thread, or while none waits; a second call does nothing.
        timeout_s: Seconds for which `close` waits for the waiting thread.

    Attributes:
        closed: Whether it was closed.
    """

    def __init__(self, let_go: Callable[[], None], *, timeout_s: float) -> None:
        self.closed = False
        self._let_go = let_go
        self._timeout_s = timeout_s
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._make_locks()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Run the block as the only one that waits. If it was closed meanwhile, all is dropped at the end."""
        with self._waiting:
            try:
                yield
            finally:
                if self.closed:
                    self._end()

    def select(self, sockets: Mapping[socket.socket, T], timeout_s: float) -> tuple[bool, list[T]]:
        """Return whether it was rung, and the values of those *sockets* that can be read; nothing after *timeout_s*."""
        with self._lock:
            bell = self._made()[0]
        if self.closed:  # maybe before there was a bell to ring
            return True, []
        with selectors.DefaultSelector() as selector:
            selector.register(bell, selectors.EVENT_READ)
            for one, value in sockets.items():
                selector.register(one, selectors.EVENT_READ, value)
            ready = [key for key, _ in selector.select(max(0.0, timeout_s))]
        is_rung = any(key.fileobj is bell for key in ready)
        if is_rung:
            bell.recv(4096)
        return is_rung, [key.data for key in ready if key.fileobj is not bell]

    def ring(self) -> None:
        """End the `select` that is under way, or the next one."""
        if not self.closed:
            self._ring()

    def close(self) -> None:
        """End the wait, now and later, and drop what is held. A second call does nothing."""
        if self.closed:
            return
        self.closed = True
        self._ring()
        if self._waiting.acquire(timeout=self._timeout_s):  # else the waiting thread does it
            try:
                self._end()
            finally:
                self._waiting.release()

    def forget(self) -> None:
        """Drop what a fork copied into this child."""
        self._make_locks()
        self._end()

    def _make_locks(self) -> None:
        self._lock = threading.Lock()
        self._waiting = threading.Lock()

    def _end(self) -> None:
        self._let_go()
        with self._lock:
            for one in self._ends or ():
                one.close()
            self._ends = None

    def _ring(self) -> None:
        with self._lock:
            if self._ends is None and self.closed:
                return  # nobody waits, nor will, and nobody would close them
            with suppress(BlockingIOError):  # it rings already
                self._made()[1].send(b"!")

    def _made(self) -> tuple[socket.socket, socket.socket]:
        """Return the two ends; the caller holds the lock."""
        if self._ends is None:
            self._ends = socket.socketpair()
            for one in self._ends:
                one.setblocking(False)
        return self._ends
