"""Lines of JSON on the standard streams of this process, for drivers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from select import PIPE_BUF
from typing import Any, Literal

Stream = Literal["stderr", "stdout"]


def as_bytes(lines: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield each of *lines* as JSON with its end; text that UTF-8 cannot hold, as names of files may be, is escaped."""
    for line in lines:
        yield f"{json.dumps(line, ensure_ascii=False, default=str)}\n".encode(errors="backslashreplace")


def write(stream: Stream, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write *lines* at once and unbuffered, so that a forked child has nothing of its parent's to write.

    Processes may share the stream: a line of up to `select.PIPE_BUF` bytes, 4,096 on Linux, is never broken by another
    one. A longer one may be, where the stream is a pipe.

    Raises:
        OSError: The stream takes no more, such as a pipe whose reader has ended, or is closed.
    """
    file = getattr(sys, stream)
    if file is None or getattr(file, "closed", False):
        raise OSError(f"the {stream} of this process is closed")
    try:
        number = file.fileno()
    except (AttributeError, OSError):  # replaced by an object without a file, as by a test
        file.write(b"".join(as_bytes(lines)).decode())
        file.flush()
    else:
        for piece in _pieces(as_bytes(lines)):
            _write_all(number, piece)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines, as many together as a pipe takes in one piece."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > PIPE_BUF:
            yield piece
            piece = b""
        piece += line
    yield piece


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
