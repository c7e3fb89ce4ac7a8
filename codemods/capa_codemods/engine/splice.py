"""Put edits into bytes, and take them out again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from capa_codemods.findings import Edit


def ordered(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Return *edits* by place, each once.

    Raises:
        ValueError: Two edits overlap, so that their order would matter.
    """
    result = tuple(sorted(set(edits)))
    for one, other in pairwise(result):
        if other.start < one.end or other.start == one.start:
            raise ValueError(f"edits of {one.rule} and {other.rule} overlap at byte {other.start}")
    return result


def splice(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return *data* with *edits*, which are ordered; every byte outside them is kept."""
    parts, at = [], 0
    for edit in edits:
        parts += [data[at : edit.start], edit.new]
        at = edit.end
    parts.append(data[at:])
    return b"".join(parts)


def inverse(data: bytes, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return the edits that turn `splice(data, edits)` back into *data*."""
    result, shift = [], 0
    for edit in edits:
        start = edit.start + shift
        result.append(Edit(start, start + len(edit.new), data[edit.start : edit.end], edit.rule))
        shift += len(edit.new) - (edit.end - edit.start)
    return tuple(result)
