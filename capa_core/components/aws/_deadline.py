"""The deadline of a whole call: botocore limits only each single read and write, and each address of a name.

A server, or a network, that sends a byte now and then would otherwise hold a call for as long as it likes.
"""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

MOVED_BYTES = 65536
"""So much of a file's content renews the time of its call."""
_SLACK = 0.05
"""The part of its time by which a call may take longer."""


class _Call(threading.local):
    """The call that this thread makes.

    Attributes:
        end: When its time is over (monotonic); `None` where there is none.
        renewed_s: A call that moves the content of files has so many seconds again after each 64 KiB; 0 for others.
    """

    end: float | None = None
    slack_s = 0.0
    renewed_s = 0.0
    moved = 0

    def left_s(self) -> float | None:
        """Return the seconds that are left, more than none."""
        return None if self.end is None else max(0.001, self.end - time.monotonic())


CALL = _Call()
"""That of each thread."""


class Limit:
    """A block in which all requests of this thread together take *seconds*; one inside another changes nothing.

    Args:
        renews: Whether they begin anew after each 64 KiB, for the content of files, which may be of any size.
    """

    __slots__ = ("_is_outer", "_renews", "_seconds")

    def __init__(self, seconds: float, *, renews: bool = False) -> None:
        self._seconds = seconds
        self._renews = renews

    def __enter__(self) -> None:
        self._is_outer = CALL.end is None
        if self._is_outer:
            CALL.end = time.monotonic() + self._seconds
            CALL.slack_s = self._seconds * _SLACK
            if self._renews:
                CALL.renewed_s, CALL.moved = self._seconds, 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_outer:
            CALL.end = None
            if self._renews:
                CALL.renewed_s = 0.0


def limit(sock: socket.socket) -> None:
    """Set the timeout of the next operation, which is a system call, unless that of the last one fits."""
    if (end := CALL.end) is None:
        return
    left_s, applied_s = end - time.monotonic(), sock.gettimeout()
    if left_s <= 0:
        raise TimeoutError("the time of the call ran out")
    if applied_s is None or not left_s <= applied_s <= left_s + CALL.slack_s:
        sock.settimeout(left_s)


def note(moved: int) -> None:
    """Note that so many bytes were sent or received."""
    CALL.moved += moved
    if CALL.moved >= MOVED_BYTES and CALL.end is not None:
        CALL.moved = 0
        CALL.end = time.monotonic() + CALL.renewed_s
