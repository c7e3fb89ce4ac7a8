"""From two texts to the few edits that make one of the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import takewhile

from capa_codemods.findings import Edit


def edits_between(before: bytes, after: bytes, rule: str) -> Iterator[Edit]:
    """Yield edits on behalf of *rule* that make *after* of *before*: whole lines, cut down to their differences."""
    olds, news = before.splitlines(keepends=True), after.splitlines(keepends=True)
    start = 0
    for tag, a, b, c, d in SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        old, new = b"".join(olds[a:b]), b"".join(news[c:d])
        if tag != "equal":
            if b - a == d - c:  # line by line, so that the text between two changes is not a part of either
                at = start
                for one, other in zip(olds[a:b], news[c:d], strict=True):
                    yield from _cut(at, one, other, rule)
                    at += len(one)
            else:
                yield from _cut(start, old, new, rule)
        start += len(old)


def _cut(start: int, old: bytes, new: bytes, rule: str) -> Iterator[Edit]:
    if old == new:
        return
    head = _equal(zip(old, new, strict=False))
    tail = _equal(zip(reversed(old[head:]), reversed(new[head:]), strict=False))
    yield Edit(start + head, start + len(old) - tail, new[head : len(new) - tail], rule)


def _equal(pairs: Iterable[tuple[int, int]]) -> int:
    """Return how many of *pairs* are of equals, up to the first that is not."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
