"""Which lines of a Python file belong together, because one statement runs over them, and where its comments are."""

from __future__ import annotations

import tokenize
from collections.abc import Iterator
from typing import NamedTuple

_BETWEEN = {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}


class LogicalLines(NamedTuple):
    """The logical lines of a file, counted from 1.

    Attributes:
        longer: Line → the first and the last line of its logical line, where that has several.
        comments: Line → its comment.
        read: How many lines are known. In those after it this interpreter cannot distinguish comments from strings.
    """

    longer: dict[int, tuple[int, int]]
    comments: dict[int, bytes]
    read: int


def logical_lines(data: bytes) -> LogicalLines:
    """Return the logical lines of *data*, from its tokens."""
    lines = data.splitlines()
    longer: dict[int, tuple[int, int]] = {}
    comments: dict[int, bytes] = {}
    first = last = 0
    try:
        for token in _tokens(lines):
            last = token.start[0]
            if token.type == tokenize.COMMENT:
                comments[last] = token.string.encode(errors="replace")
            elif token.type == tokenize.NEWLINE:
                longer |= {line: (first, last) for line in range(first, last + 1) if last > first}
                first = 0
            elif token.type not in _BETWEEN:
                first = first or last
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        return LogicalLines(longer, comments, last - 1)
    return LogicalLines(longer, comments, len(lines))


def _tokens(lines: list[bytes]) -> Iterator[tokenize.TokenInfo]:
    # A line that a lone `\r` ends is none for the tokenizer, and one for the parser.
    left = iter(lines)
    return tokenize.tokenize(lambda: next((line + b"\n" for line in left), b""))
