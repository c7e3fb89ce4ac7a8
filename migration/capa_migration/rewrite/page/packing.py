"""Pack data into the letters that may stand in an HTML file; the page's own script unpacks it (`unpack.js`)."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

_CHUNK_BYTES = 1 << 16
"""How much is compressed before its length is looked at: less would cost size, more would miss the limit by more."""


def packed(data: Any) -> str:
    """Return *data* as JSON, compressed, in base64: no letter of it means anything to an HTML parser."""
    return b64encode(zlib.compress(_json(data), 9)).decode()


def packed_lines(items: Iterable[tuple[Any, Any]], room: int) -> str:
    """Return a line of JSON for each item, packed into at most about *room* letters.

    Args:
        items: Each item in full, and the shorter one that takes its place when room gets short.
        room: Letters there are. Shorter items come when three quarters of it are used, none when all is.
    """
    packer = zlib.compressobj(9)
    parts: list[bytes] = []
    waiting = bytearray()
    bytes_there_are = max(room, 0) * 3 // 4
    used = 0
    for full, short in items:
        waiting += _json(full if used < bytes_there_are * 3 // 4 else short) + b"\n"
        if len(waiting) >= _CHUNK_BYTES:
            parts.append(packer.compress(waiting) + packer.flush(zlib.Z_SYNC_FLUSH))
            used += len(parts[-1])
            waiting.clear()
        if used >= bytes_there_are:
            break
    parts.append(packer.compress(waiting) + packer.flush())
    return b64encode(b"".join(parts)).decode()


def _json(data: Any) -> bytes:
    # A file name may hold bytes that are no text; ASCII keeps them as escapes, which JavaScript reads.
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True).encode()
