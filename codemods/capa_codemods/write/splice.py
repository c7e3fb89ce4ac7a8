"""Put edits into bytes, and take them out again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from capa_codemods.findings import Edit


def ordered_edits(edits: Iterable[Edit]) -> tuple[Edit, ...]:
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


def inverse_edits(data: bytes, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return the edits that turn `splice(data, edits)` back into *data*."""
    result, shift = [], 0
    for edit in edits:
        start = edit.start + shift
        result.append(Edit(start, start + len(edit.new), data[edit.start : edit.end], edit.rule))
        shift += len(edit.new) - (edit.end - edit.start)
    return tuple(result)


class Shift:
    """The places of the bytes of the old text in the new one, for edits that are ordered."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        """Prepare for *edits*."""
        self._starts = [edit.start for edit in edits]
        self._ends = [edit.end for edit in edits]
        self._sums = [0, *accumulate(len(edit.new) - (edit.end - edit.start) for edit in edits)]

    def touches(self, start: int, end: int) -> bool:
        """Return whether an edit lies between *start* and *end*, or touches one of them."""
        return bisect_left(self._ends, start) < bisect_right(self._starts, end)

    def of(self, offset: int) -> int:
        """Return where the byte at *offset* is now, after text that is inserted right before it."""
        return offset + self._sums[bisect_right(self._ends, offset)]

    def of_end(self, offset: int) -> int:
        """Return where a range that ends before *offset* ends now, without text that is inserted right behind it."""
        return offset + self._sums[bisect_left(self._starts, offset)]
