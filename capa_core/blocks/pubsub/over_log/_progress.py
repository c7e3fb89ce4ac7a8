"""The progress of a group in one partition, where messages are finished in any order.

The commit is the *low-water mark*, the first offset that is not finished: a crash never skips a message. The
commit's note has the finished offsets and delivery counts beyond it, so that the next owner neither repeats finished
messages nor loses counts. A note has a limit; messages that do not fit are delivered again, as at-least-once allows.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from capa_core.blocks.log.driver import Commit

_NOTE_LIMIT = 4_000
_LONGEST_RUN = 10_000
"""A consumer holds no more messages; a note that says otherwise is not one of Capa's."""


class Progress:
    """The finished offsets and the delivery counts of one partition. Not safe for several threads."""

    def __init__(self, commit: Commit) -> None:
        self.low = commit.offset
        self._next = commit.offset
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.counts: dict[int, int] = {}
        _read_note(self, commit)

    def fetched(self, offset: int) -> bool:
        """Take note of the record at *offset*; return whether it is still to be done."""
        if offset > self._next:
            self._finish(self._next, offset)  # offsets without a record, such as those of removed records
        if offset >= self._next:
            self._next = offset + 1
        return offset >= self.low and not (self._starts and self.is_done(offset))

    def is_done(self, offset: int) -> bool:
        """Return whether the message at *offset* is finished."""
        if offset < self.low:
            return True
        place = bisect_left(self._starts, offset + 1) - 1
        return place >= 0 and offset < self._ends[place]

    def finish(self, offset: int) -> None:
        """Mark the message at *offset* as finished."""
        self.counts.pop(offset, None)
        if offset == self.low and not self._starts:  # in order, as most are
            self.low += 1
        else:
            self._finish(offset, offset + 1)

    def count(self, offset: int, by: int) -> None:
        """Add *by* to the deliveries of the message at *offset*."""
        self.counts[offset] = max(0, self.counts.get(offset, 0) + by)

    def rewind(self) -> None:
        """Go back to the low-water mark, from which records are fetched again."""
        self._next = self.low

    def commit(self) -> Commit:
        """Return the commit: the low-water mark, and a note on the offsets beyond it."""
        spans = zip(self._starts, self._ends, strict=True)
        done = (f"{start - self.low}+{end - start}" for start, end in spans)
        return Commit(self.low, _within_limit(itertools.chain(self._counts_text(), done)))

    def done_from(self, offset: int) -> int:
        """Return how many offsets beyond the low-water mark, and from *offset* on, are finished."""
        spans = zip(self._starts, self._ends, strict=True)
        return sum(max(0, end - max(start, offset)) for start, end in spans)

    def _counts_text(self) -> Iterator[str]:
        """Yield the counts, those of a run of offsets with one count as one."""
        first, end, common = 0, 0, 0
        for offset, count in self.counts.items():
            if count == common and offset == end:
                end += 1
                continue
            yield from _run_text(first - self.low, end - first, common)
            first, end, common = offset, offset + 1, count
        yield from _run_text(first - self.low, end - first, common)

    def _finish(self, start: int, end: int) -> None:
        if end <= self.low:
            return
        place = bisect_left(self._starts, start)
        if place and self._ends[place - 1] >= start:
            place -= 1
            start = self._starts[place]
        last = place
        while last < len(self._starts) and self._starts[last] <= end:
            end = max(end, self._ends[last])
            last += 1
        self._starts[place:last], self._ends[place:last] = [start], [end]
        if self._starts[0] <= self.low:
            self.low = self._ends[0]
            del self._starts[0], self._ends[0]


def _read_note(progress: Progress, commit: Commit) -> None:
    """Add the content of the note; a note of another client is ignored."""
    try:
        for item in filter(None, commit.note.split(",")):
            if "+" in item:
                start, length = map(int, item.split("+"))
                progress._finish(commit.offset + start, commit.offset + start + length)
            else:
                run, count = item.split("=")
                distance, _, many = run.partition(":")
                first = commit.offset + int(distance)
                for offset in range(first, first + min(int(many or 1), _LONGEST_RUN)):
                    progress.counts[offset] = int(count)
    except ValueError:
        return


def _run_text(first: int, length: int, count: int) -> Iterator[str]:
    if count:
        yield f"{first}={count}" if length == 1 else f"{first}:{length}={count}"


def _within_limit(items: Iterable[str]) -> str:
    kept, length = [], 0
    for item in items:
        length += len(item) + 1
        if length > _NOTE_LIMIT:
            break
        kept.append(item)
    return ",".join(kept)
