"""Tables as lines of aligned columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = True) -> Iterator[str]:
    """Yield the lines of *rows* under *head*; all columns but the first are set to the *right*, as numbers are."""
    widths = [max(width(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, *rows]:
        cells = [
            _padded(cell, width_of_all, right=right and at > 0)
            for at, (cell, width_of_all) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def width(text: str) -> int:
    """Return the number of columns that a terminal shows *text* in: two for a wide letter, none for an accent."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(one) else 1 + (east_asian_width(one) in "WF") for one in text)


def _padded(cell: str, columns: int, *, right: bool) -> str:
    space = " " * (columns - width(cell))
    return space + cell if right else cell + space
