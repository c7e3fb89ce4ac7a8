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


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a socket that keeps packets apart."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.settimeout(None)  # while a worker of Celery ends, new sockets in its process have five seconds
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ends


def pack(values: tuple[Any, ...]) -> bytes:
    """Return one packet; values too large for a packet go through a file that the receiver removes."""
    data = marshal.dumps(values)
    if len(data) < LARGEST:
        return data
    handle, path = tempfile.mkstemp(prefix="capa-task-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return marshal.dumps((path,))


def unpack(packet: bytes) -> tuple[Any, ...]:
    """Return the values of a packet."""
    values: tuple[Any, ...] = marshal.loads(packet)  # noqa: S302 - from this program's own processes
    if len(values) > 1:
        return values
    path = Path(values[0])
    data = path.read_bytes()
    path.unlink()
    return tuple(marshal.loads(data))  # noqa: S302 - as above
