"""Take edits back out of a file that has been edited since, if the edits are on other lines.

A line that a tool has put elsewhere as it was, such as an import that was sorted, counts as the same line if there is
only one like it.
"""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Sequence

from capa_codemods.findings import Edit
from capa_codemods.read.document import starts_of_lines
from capa_codemods.write.splice import inverse_edits, splice


def without_edits(after: bytes, now: bytes, before: bytes, edits: Sequence[Edit]) -> bytes | None:
    """Return *now* less *edits*; None if a line that they touched is no longer there as they left it.

    Args:
        after: The bytes with *edits*.
        now: The bytes after later changes by users.
        before: The bytes that *edits* are offsets into.
    """
    moves = _Moves(after, now)
    back = []
    for edit in inverse_edits(before, edits):
        found = moves.find(edit.start, edit.end)
        if found is None:
            return None
        start, end, ending = found
        new = (
            edit.new
            if ending is None
            else b"".join(_ended(line, ending) for line in edit.new.splitlines(True))
        )
        back.append(Edit(start, end, new, edit.rule))
    return splice(now, sorted(back, key=lambda one: one.start))


class _Moves:
    """The places of the lines of one text in another, line ends aside."""

    def __init__(self, after: bytes, now: bytes) -> None:
        self._starts, self._now_starts = starts_of_lines(after), starts_of_lines(now)
        self._lines, self._now_lines = _lines(after, self._starts), _lines(now, self._now_starts)
        self._bare, self._now_bare = (
            [_bare(line) for line in lines] for lines in (self._lines, self._now_lines)
        )
        matcher = difflib.SequenceMatcher(None, self._bare, self._now_bare, autojunk=False)
        self._blocks = matcher.get_matching_blocks()

    def find(self, start: int, end: int) -> tuple[int, int, bytes | None] | None:
        """Return where the range from *start* to *end* is now; None if its lines are not there unchanged.

        Also the line end of its lines now, if it was another one before.
        """
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end) - 1
        shift = self._shift(first, last)
        if shift is None:
            return None
        line, now = self._lines[first], self._now_lines[first + shift]
        return (
            self._now_starts[first + shift] + start - self._starts[first],
            self._now_starts[last + shift] + end - self._starts[last],
            None if line == now else now[len(_bare(now)) :],
        )

    def _shift(self, first: int, last: int) -> int | None:
        """Return by how many lines those from *first* to *last* have moved; None if they are not there together."""
        for block in self._blocks:
            if block.a <= first and last < block.a + block.size:
                return block.b - block.a
        line = self._bare[first]
        is_single = first == last and self._bare.count(line) == self._now_bare.count(line) == 1
        return self._now_bare.index(line) - first if is_single else None


def _lines(data: bytes, starts: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def _bare(line: bytes) -> bytes:
    return line.rstrip(b"\r\n")


def _ended(line: bytes, ending: bytes) -> bytes:
    return line if (bare := _bare(line)) == line else bare + ending
