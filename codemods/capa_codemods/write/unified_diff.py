"""Write edits as a unified diff that `git apply` and `patch` take, for the bytes as they are."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from capa_codemods.findings import Edit
from capa_codemods.write.splice import splice

_CONTEXT = 3
_ODD = re.compile(rb'[\x00-\x1f\x7f"\\]')
_ESCAPES = {b'"': b'\\"', b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r"}


def unified_diff(path: str, data: bytes | None, edits: Sequence[Edit]) -> bytes:
    """Return the diff of the file *path* from *data* to `splice(data, edits)`; None is for a file to be made."""
    old_name = b"/dev/null" if data is None else _name(f"a/{path}")
    data = data or b""
    lines = data.split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    parts = [b"--- " + old_name + b"\n+++ " + _name(f"b/{path}") + b"\n"]
    shift = 0
    for first, last, group in _hunks(starts, len(lines), edits):
        begin, end = starts[first], min(starts[last], len(data))
        old = data[begin:end]
        new = splice(old, [edit._replace(start=edit.start - begin, end=edit.end - begin) for edit in group])
        parts += _hunk(first, first + shift, old, new)
        shift += _count(new) - _count(old)
    return b"".join(parts)


def _name(path: str) -> bytes:
    """Return *path* as git writes it: else a name could end its line, and add changes of its own."""
    name = os.fsencode(path)
    if _ODD.search(name):
        return b'"' + _ODD.sub(lambda found: _ESCAPES.get(found[0], b"\\%03o" % ord(found[0])), name) + b'"'
    return name + b"\t" if b" " in name else name  # a blank ends a name, unless a tab does


def _hunks(starts: list[int], count: int, edits: Sequence[Edit]) -> Iterator[tuple[int, int, list[Edit]]]:
    """Yield the first line, the line after the last, and the edits of each hunk."""
    group: list[Edit] = []
    first = last = 0
    for edit in edits:
        at = bisect_right(starts, edit.start) - 1
        until = bisect_right(starts, max(edit.start, edit.end - 1))
        if group and at - _CONTEXT > last:
            yield first, last, group
            group = []
        if not group:
            first = max(0, at - _CONTEXT)
        group.append(edit)
        last = min(count, until + _CONTEXT)
    if group:
        yield first, last, group


def _hunk(old_at: int, new_at: int, old: bytes, new: bytes) -> Iterator[bytes]:
    olds, news = _split(old), _split(new)
    yield b"@@ -%d,%d +%d,%d @@\n" % (old_at + bool(olds), len(olds), new_at + bool(news), len(news))
    for tag, a, b, c, d in SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from (_line(b" ", line) for line in olds[a:b])
        else:
            yield from (_line(b"-", line) for line in olds[a:b])
            yield from (_line(b"+", line) for line in news[c:d])


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _split(text: bytes) -> list[bytes]:
    parts = text.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _count(text: bytes) -> int:
    return len(_split(text))
