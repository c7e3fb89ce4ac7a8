"""Packed data: characters that an HTML file may hold; the page's own script unpacks them (`unpack.js`)."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

_CHUNK_BYTES = 1 << 16
"""Bytes compressed before the length is checked: fewer would compress worse, more would overshoot the limit."""


def packed(data: Any) -> str:
    """Return *data* as JSON, compressed, in base64: no character of it has a meaning in HTML."""
    return b64encode(zlib.compress(_json(data), 9)).decode()


def packed_lines(items: Iterable[tuple[Any, Any]], room: int) -> str:
    """Return a line of JSON for each item, packed into at most about *room* characters.

    Args:
        items: Each item in full, and a shorter form for when room gets short.
        room: Characters. The shorter form is used after three quarters of it, and nothing is added when it is full.
    """
    packer = zlib.compressobj(9)
    parts: list[bytes] = []
    waiting = bytearray()
    room_bytes = max(room, 0) * 3 // 4
    used = 0
    for full, short in items:
        waiting += _json(full if used < room_bytes * 3 // 4 else short) + b"\n"
        if len(waiting) >= _CHUNK_BYTES:
            parts.append(packer.compress(waiting) + packer.flush(zlib.Z_SYNC_FLUSH))
            used += len(parts[-1])
            waiting.clear()
        if used >= room_bytes:
            break
    parts.append(packer.compress(waiting) + packer.flush())
    return b64encode(b"".join(parts)).decode()


def _json(data: Any) -> bytes:
    # A file name may hold bytes that are not text; ASCII keeps them as escapes, which JavaScript reads.
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True).encode()
