"""Packets between the worker and its children."""

from __future__ import annotations

import marshal
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

LARGEST = 1 << 16
"""The size limit of a packet; the buffer of a socket has room for some of these."""

PARENT_GONE = b""
LEAVE = marshal.dumps((0, "leave"))
"""In place of a task: the child that gets it leaves. Its number is that of no task."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a socket that keeps packet boundaries."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.settimeout(None)  # while a worker of Celery ends, new sockets in its process have five seconds
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ends


def pack(values: tuple[Any, ...]) -> bytes:
    """Return one packet of three values or more; all but the first go through a file if they are too large for it.

    The receiver removes the file.
    """
    data = marshal.dumps(values)
    if len(data) < LARGEST:
        return data
    handle, path = tempfile.mkstemp(prefix="capa-task-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return marshal.dumps((values[0], path))


def unpack(packet: bytes) -> tuple[Any, ...]:
    """Return the values of a packet."""
    values: tuple[Any, ...] = marshal.loads(packet)  # noqa: S302 - from this program's own processes
    if len(values) > 2:
        return values
    path = Path(values[1])
    data = path.read_bytes()
    path.unlink()
    return tuple(marshal.loads(data))  # noqa: S302 - as above


def first(packet: bytes) -> Any:
    """Return the first value of a packet, and leave its file in place."""
    return marshal.loads(packet)[0]  # noqa: S302 - as above
