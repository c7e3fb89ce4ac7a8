"""Examples in a docstring, read as code: the lines behind `>>>` and `...`, each at its place in the file.

Everything else becomes blanks, so that a place in the code is the same place in the docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.read.facts import StringUse
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.syntax import parse

_BLOCK = b"if 1:\n"
"""Examples are indented, as the docstring is."""
_PROMPT = re.compile(rb"[ \t]*(?:>>>|(\.\.\.))(?=[ \r\n]|$) ?")


class Examples(NamedTuple):
    """The examples of one docstring: as a file of their own, and where their text begins in the file around."""

    file: PythonFile
    start: int
    line: int

    def placed(self, item: Edit | Finding) -> Edit | Finding:
        """Return *item*, which is about the examples, as one about the file around."""
        if isinstance(item, Finding):
            return item._replace(line=self.line + item.line - 2)
        shift = self.start - len(_BLOCK)
        return item._replace(start=item.start + shift, end=item.end + shift)


def examples_in(docstring: StringUse, file: PythonFile) -> Examples:
    """Return the examples in *docstring* of *file*.

    Raises:
        UnreadableError: They are no Python together, or the literal is spelt with escapes.
    """
    if docstring.start < 0:
        raise UnreadableError("the literal is joined from parts or escaped", next_step="change it by hand")
    code = _BLOCK + code_of(file.data[docstring.start : docstring.end])
    return Examples(PythonFile(file.path, code), docstring.start, file.line_of(docstring.start))


def parsed_examples(text: bytes) -> ast.Module:
    """Return the syntax tree of the examples in the docstring *text*.

    Raises:
        UnreadableError: They are no Python together.
    """
    return parse(_BLOCK + code_of(text))


def code_of(text: bytes) -> bytes:
    """Return *text* with blanks in place of everything but the examples."""
    return b"".join(line if is_code else _blank(line) for line, is_code in _lines(text))


def prose_of(text: bytes) -> bytes:
    """Return *text* without its examples."""
    return b"".join(b"\n" if is_code else line for line, is_code in _lines(text))


def _lines(text: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield each line, and whether it is one of code, whose prompt is blanks then."""
    is_open = False
    for line in text.splitlines(keepends=True):
        prompt = _PROMPT.match(line)
        is_open = prompt is not None and (is_open or prompt[1] is None)
        yield (b" " * prompt.end() + line[prompt.end() :] if prompt and is_open else line), is_open


def _blank(line: bytes) -> bytes:
    return re.sub(rb"[^\r\n]", b" ", line)
