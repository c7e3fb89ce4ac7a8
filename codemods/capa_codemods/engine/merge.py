"""Take edits back out of a file that has been edited since, if nobody touched the same lines."""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Sequence

from capa_codemods.engine.document import starts_of_lines
from capa_codemods.engine.splice import inverse, splice
from capa_codemods.findings import Edit


def without_edits(after: bytes, now: bytes, before: bytes, edits: Sequence[Edit]) -> bytes | None:
    """Return *now* less *edits*; None if a line that they touched is no longer there as they left it.

    Args:
        after: What the edits made of *before*.
        now: What users made of *after*.
        before: The bytes that *edits* are offsets into.
    """
    moves = _Moves(after, now)
    back = []
    for edit in inverse(before, edits):
        start = moves.find(edit.start, edit.end)
        if start is None:
            return None
        back.append(Edit(start, start + edit.end - edit.start, edit.new, edit.rule))
    return splice(now, back)


class _Moves:
    """Where the lines of one text stand in another."""

    def __init__(self, after: bytes, now: bytes) -> None:
        self._starts, self._now_starts = starts_of_lines(after), starts_of_lines(now)
        lines, now_lines = _lines(after, self._starts), _lines(now, self._now_starts)
        self._blocks = difflib.SequenceMatcher(None, lines, now_lines, autojunk=False).get_matching_blocks()

    def find(self, start: int, end: int) -> int | None:
        """Return where the range from *start* to *end* begins now; None if its lines are not there unchanged."""
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end) - 1
        for block in self._blocks:
            if block.a <= first and last < block.a + block.size:
                return self._now_starts[block.b + first - block.a] + start - self._starts[first]
        return None


def _lines(data: bytes, starts: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
