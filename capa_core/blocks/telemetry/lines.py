"""Lines of JSON on the standard streams of this process, for drivers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Stream = Literal["stderr", "stdout"]


def as_text(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return *lines* as JSON, each on a line of its own."""
    return "".join(f"{json.dumps(line, ensure_ascii=False, default=str)}\n" for line in lines)


def write(stream: Stream, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write *lines* at once and unbuffered, so that a forked child has nothing of its parent's to write.

    Raises:
        OSError: The stream takes no more, such as a pipe whose reader has ended.
    """
    text, file = as_text(lines), getattr(sys, stream)
    try:
        number = file.fileno()
    except (AttributeError, OSError):  # replaced by an object without a file, as by a test
        file.write(text)
        file.flush()
    else:
        _write_all(number, text.encode(errors="backslashreplace"))


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
