"""Read a Jupyter notebook: its code cells as Python, and the place of each of their letters in the JSON."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.read.document import Document, decoded, ignored_rules, starts_of_lines
from capa_codemods.read.python_file import PythonFile
from capa_codemods.sdks.names import Names

_DECODER = json.JSONDecoder()
# One letter as JSON spells it; a letter beyond 16 bits may be two escapes.
_LETTER = re.compile(r"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u\w{4}|\\.|.", re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_MAGIC = re.compile(r"^([ \t]*)[%!?]", re.MULTILINE)
_PYTHON_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")


class Piece(NamedTuple):
    """One string of a cell's source: its text, and where it begins in the text of the file, after its quote."""

    text: str
    start: int


class Cell(NamedTuple):
    """One code cell."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def source(self) -> str:
        """The text of the cell, with its magics as comments of the same length."""
        return _LINE_MAGIC.sub(r"\1#", self.text)

    @property
    def text(self) -> str:
        """The text of the cell."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def data(self) -> bytes:
        """The source as bytes. Half a letter, which JSON can spell, is kept: it is for the parser to refuse."""
        return _bytes(self.source)

    @property
    def lines(self) -> list[bytes]:
        """The lines of the cell, without their ends."""
        return _bytes(self.text).splitlines()

    @property
    def is_python(self) -> bool:
        """Whether the cell is for the kernel, not for another program (`%%bash`)."""
        return not self.text.startswith("%%") or self.text.startswith(_PYTHON_CELL_MAGICS)


class NotebookFile(Document):
    """A notebook of format 4."""

    suffixes = (".ipynb",)
    names_sdk = True

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*.

        Raises:
            UnreadableError: It is no JSON, or no notebook of this format.
        """
        super().__init__(path, data)
        self.text = decoded(data)
        try:
            self.tree: Any = json.loads(self.text)
            pieces = _pieces(self.text) if _is_notebook(self.tree) else None
        except (ValueError, RecursionError) as error:
            raise UnreadableError(
                f"not JSON: {error}", next_step="correct the notebook, or leave it out with --exclude"
            ) from error
        if pieces is None:
            raise UnreadableError(
                "no notebook of format 4", next_step="save it again with a Jupyter of today, or leave it out"
            )
        self._pieces = pieces

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* names one of the roots anywhere."""
        return names.sieve.names(data)

    def ignores(self, line: int, rule: str) -> bool:  # noqa: ARG002
        """Return False: a line of JSON may hold several lines of cells. Comments count in the Python of each cell."""
        return False

    @property
    def ignoring(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the rules that comments in the code cells switch off, each with its line of the file."""
        for cell in self.code:
            lines = self.lines(cell)
            yield from ((lines[line - 1], names) for line, names in self._ignoring_in(cell))

    def _ignoring_in(self, cell: Cell) -> Iterator[tuple[int, tuple[str, ...]]]:
        try:
            yield from self.python(cell).ignoring
        except UnreadableError:  # a cell for a shell, too
            found = ((line, ignored_rules(text)) for line, text in enumerate(cell.lines, 1))
            yield from ((line, names) for line, names in found if names is not None)

    @cached_property
    def cells(self) -> Sequence[Cell]:
        """The code cells, without those for another program."""
        return tuple(cell for cell in self.code if cell.is_python)

    @cached_property
    def code(self) -> Sequence[Cell]:
        """All code cells; none of a notebook whose kernel runs another language than Python."""
        return tuple(
            Cell(number, self._pieces[number])
            for number, cell in enumerate(self.tree["cells"] if _is_for_python(self.tree) else ())
            if cell.get("cell_type") == "code" and self._pieces[number]
        )

    def python(self, cell: Cell) -> PythonFile:
        """Read a cell as Python.

        Raises:
            UnreadableError: It is none; the line is that of the file.
        """
        try:
            return PythonFile(self.path, cell.data)
        except UnreadableError as error:
            lines = self.lines(cell)
            line = lines[min(max(error.line, 1), len(lines)) - 1]
            raise UnreadableError(
                f"cell {cell.number} cannot be read: {error}",
                line=line,
                next_step="check the cell by hand: it may be for IPython alone",
            ) from error

    def lines(self, cell: Cell) -> list[int]:
        """Return for each line of a cell in which line of the file it begins."""
        ends = list(accumulate(len(_bytes(piece.text)) for piece in cell.pieces))
        pieces = (bisect_right(ends, start) for start in starts_of_lines(cell.data))
        # JSON has no line end inside a string, so a piece is on one line.
        lines = [bisect_right(self._letter_starts, piece.start) for piece in cell.pieces]
        return [lines[min(piece, len(lines) - 1)] for piece in pieces]

    def place(self, cell: Cell, at: int) -> int | None:
        """Return the place in the file of byte number *at* of a cell; None if that is after its last letter."""
        letters = len(_bytes(cell.text)[:at].decode(errors="surrogatepass"))
        for piece in cell.pieces:
            if letters < len(piece.text):
                return len(self.text[: self._letter(piece, letters)].encode())
            letters -= len(piece.text)
        return None

    @cached_property
    def _letter_starts(self) -> list[int]:
        """The place in the text, in letters, where each line begins."""
        lengths = (len(line.decode()) for line in self.data.splitlines(keepends=True))
        return list(accumulate(lengths, initial=0))

    def _letter(self, piece: Piece, number: int) -> int:
        at = piece.start
        for _ in range(number):
            found = _LETTER.match(self.text, at)
            at = found.end() if found else at + 1
        return at


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _is_notebook(tree: Any) -> bool:
    cells = tree.get("cells") if isinstance(tree, dict) else None
    return isinstance(cells, list) and all(isinstance(cell, dict) for cell in cells)


def _is_for_python(tree: Any) -> bool:
    """Return whether the kernel of the notebook *tree* runs Python, or none is named."""
    metadata = tree.get("metadata")
    places = (("kernelspec", "language"), ("language_info", "name"))
    named = [_text_at(metadata, *place).lower() for place in places]
    return not any(named) or any("python" in one for one in named)


def _text_at(tree: Any, *keys: str) -> str:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, str) else ""


def _pieces(text: str) -> dict[int, tuple[Piece, ...]]:
    """Return the strings of the source of each cell of the notebook *text*, by the number of the cell."""
    found: dict[int, tuple[Piece, ...]] = {}
    for key, cells in _members(text, _past_space(text, 0)):
        if key == "cells":
            # Of a key that is there twice, the last one counts, as for the parser.
            found = {number: _source(text, cell) for number, (_, cell) in enumerate(_members(text, cells))}
    return found


def _source(text: str, cell: int) -> tuple[Piece, ...]:
    places = [at for key, at in _members(text, cell) if key == "source"][-1:]
    places += [at for place in places for _, at in _members(text, place)]
    return tuple(Piece(_DECODER.raw_decode(text, at)[0], at + 1) for at in places if text[at] == '"')


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Yield the key, empty in an array, and the place of each member of the object or array at *at* of the JSON *text*.

    The parser skips the value of a member, which is many times as fast as reading it: an output may be a
    picture, or a hundred thousand numbers.
    """
    opened, at = text[at], _past_space(text, at + 1)
    while opened in "{[" and text[at] not in "}]":
        key = ""
        if opened == "{":
            key, at = _DECODER.raw_decode(text, at)
            at = _past_space(text, _past_space(text, at) + 1)  # the colon
        yield key, at
        at = _past_space(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _past_space(text, at + 1)


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
