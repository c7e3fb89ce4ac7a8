"""Which lines of a Python file belong together, because one statement, or the head of one, runs over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress


def logical_lines(data: bytes) -> dict[int, tuple[int, int]]:
    """Return the first and the last line of what runs over several lines of *data*, for each of those lines, from 1.

    Of what this interpreter cannot tell apart, nothing is returned.
    """
    return {line: lines for lines in _longer(data) for line in range(lines[0], lines[1] + 1)}


def _longer(data: bytes) -> Iterator[tuple[int, int]]:
    # Few files need them.
    import tokenize

    between = {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
    lines = iter(data.splitlines())
    first = 0
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.tokenize(lambda: _with_end(next(lines, None))):
            if token.type == tokenize.NEWLINE:
                if token.start[0] > first:
                    yield first, token.start[0]
                first = 0
            elif token.type not in between:
                first = first or token.start[0]


def _with_end(line: bytes | None) -> bytes:
    # A line that a lone `\r` ends is none for the tokenizer, and one for the parser.
    return b"" if line is None else line + b"\n"
