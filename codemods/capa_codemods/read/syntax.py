"""The syntax tree of a Python file, and where in its bytes the parser's lines and columns are."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from capa_codemods.errors import UnreadableError

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=]", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
# The parser's messages about Python 2, and where it stops (`\0`) when it has no message.
_PYTHON_2 = re.compile(
    r"""Missing[ ]parentheses[ ]in[ ]call[ ]to | parameters[ ]cannot[ ]be[ ]parenthesized
    | leading[ ]zeros[ ]in[ ]decimal
    | literal\n.*\0[\da-fA-F]?[lL]\b | syntax\n (?: .*\0(?:`|<>) | \s*raise\b.*\0, | .*\b[uU][rR]\0["'] )""",
    re.VERBOSE,
)


class Places:
    """Turn the parser's lines and columns into offsets in the bytes on disk.

    The parser counts columns in UTF-8. In a file of another encoding they are counted again.
    """

    def __init__(self, data: bytes, line_starts: Sequence[int]) -> None:
        """Prepare for *data*, whose lines begin at *line_starts*."""
        self._data = data
        self._starts = line_starts
        self._bom = len(_BOM) if data.startswith(_BOM) else 0
        self.encoding = _encoding(data)

    def offset(self, line: int, column: int) -> int:
        """Return the offset of the parser's *line* (from 1) and *column* (from 0)."""
        start = self._starts[line - 1]
        if line == 1:
            start += self._bom
        if self.encoding is None:
            return start + column
        end = self._starts[line] if line < len(self._starts) else len(self._data)
        text = self._data[start:end].decode(self.encoding).encode()[:column].decode()
        return start + len(text.encode(self.encoding))


def parse(data: bytes) -> ast.Module:
    """Return the syntax tree of *data*, which may be newer than the running interpreter; see `newer_syntax`.

    Raises:
        UnreadableError: It is no Python, or of a kind that is not known here.
    """
    try:
        return _parse(data)
    except SyntaxError as error:
        raise UnreadableError(
            f"not Python {_version()}: {error.msg}", line=error.lineno or 0, next_step=_advice(error)
        ) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        reason = str(error) or "its expressions are nested too deeply"
        raise UnreadableError(
            f"cannot be parsed: {reason}", next_step="correct the file, or change its imports by hand"
        ) from error


def is_newer(data: bytes) -> bool:
    """Return whether the running interpreter cannot parse *data* as it is."""
    try:
        ast.parse(data)
    except SyntaxError:
        return True
    return False


def _parse(data: bytes) -> ast.Module:
    try:
        return ast.parse(data)
    except SyntaxError:
        from capa_codemods.read.newer_syntax import tree_of_newer

        tree = tree_of_newer(data)
        if tree is None:
            raise
        return tree


def _encoding(data: bytes) -> str | None:
    """Return the declared encoding if columns must be counted again in it, else None.

    Raises:
        UnreadableError: Python knows no such encoding.
    """
    head = data.split(b"\n", 2)[:2]
    if not any(b"coding" in line and _COOKIE.match(line.removeprefix(_BOM)) for line in head):
        return None
    import io
    import tokenize

    try:
        name = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError as error:
        raise UnreadableError(
            f"not Python {_version()}: {error.msg}",
            line=1,
            next_step="correct the encoding that its first lines declare",
        ) from error
    return None if name in {"utf-8", "utf-8-sig", "ascii"} or data.isascii() else name


def _version() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _advice(error: SyntaxError) -> str:
    text, at = error.text or "", (error.offset or 1) - 1
    if _PYTHON_2.search(f"{error.msg}\n{text[:at]}\0{text[at:]}"):
        return "it looks like Python 2: port it to Python 3 first, or leave it out with --exclude"
    if "codec can't decode" in error.msg or "encoding" in error.msg:
        return "save it in UTF-8, or declare its encoding in the first line"
    return "correct the file; if it is for a newer Python, run capa with that Python"
