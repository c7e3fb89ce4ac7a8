"""Read a Jupyter notebook: its code cells as Python, and where each letter of them stands in the JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from capa_codemods.engine.document import Document, decoded
from capa_codemods.engine.python_file import PythonFile
from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit
from capa_codemods.names import Names

_DECODER = json.JSONDecoder()
# One letter as JSON spells it; a letter beyond 16 bits may be two escapes.
_LETTER = re.compile(r"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u\w{4}|\\.|.", re.DOTALL)
_LINE_MAGIC = re.compile(r"^([ \t]*)[%!?]", re.MULTILINE)
_PYTHON_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")


class Piece(NamedTuple):
    """One string of a cell's source: what it says, and where it begins in the text of the file, after its quote."""

    text: str
    start: int


class Cell(NamedTuple):
    """One code cell."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def source(self) -> str:
        """What the cell says, with its magics as comments of the same length."""
        return _LINE_MAGIC.sub(r"\1#", self.text)

    @property
    def text(self) -> str:
        """What the cell says."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def is_python(self) -> bool:
        """Whether the cell is for the kernel, not for another program (`%%bash`)."""
        return not self.text.startswith("%%") or self.text.startswith(_PYTHON_CELL_MAGICS)


class NotebookFile(Document):
    """A notebook of format 4."""

    suffixes = (".ipynb",)

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*.

        Raises:
            UnreadableError: It is no JSON.
        """
        super().__init__(path, data)
        self.text = decoded(data)
        try:
            self.tree: Any = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(
                f"not JSON: {error}", next_step="mend the notebook, or leave it out"
            ) from error

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Say whether *data* names one of the roots anywhere."""
        return names.sieve.names(data)

    @cached_property
    def cells(self) -> Sequence[Cell]:
        """The code cells, without those for another program."""
        found: dict[int, list[Piece]] = {}
        for path, piece in _strings(self.text, 0, ()):
            if len(path) in {3, 4} and path[0] == "cells" and path[2] == "source":
                found.setdefault(int(path[1]), []).append(piece)
        kinds = (
            [cell.get("cell_type") for cell in self.tree.get("cells", [])]
            if isinstance(self.tree, dict)
            else []
        )
        cells = (Cell(number, tuple(pieces)) for number, pieces in found.items() if kinds[number] == "code")
        return tuple(cell for cell in cells if cell.is_python)

    def place(self, cell: Cell, at: int) -> int | None:
        """Return where the byte number *at* of a cell stands in the file; None if that is after its last letter."""
        letters = len(cell.text.encode()[:at].decode())
        for piece in cell.pieces:
            if letters < len(piece.text):
                return len(self.text[: self._letter(piece, letters)].encode())
            letters -= len(piece.text)
        return None

    def flaw(self, new: bytes, edits: Sequence[Edit], names: Names) -> str | None:  # noqa: ARG002
        """Read *new* and compare: only code cells may differ, and each is proven like a file."""
        try:
            after = type(self)(self.path, new)
        except UnreadableError as error:
            return f"the result is no longer a notebook: {error}"
        if _without_sources(self.tree) != _without_sources(after.tree):
            return "something but the source of code cells differs"
        if len(self.cells) != len(after.cells):
            return "the number of code cells differs"
        for old_cell, new_cell in zip(self.cells, after.cells, strict=True):
            if old_cell.text != new_cell.text and (found := _flaw_of_cell(old_cell, new_cell, names)):
                return f"cell {old_cell.number}: {found}"
        return None

    def _letter(self, piece: Piece, number: int) -> int:
        at = piece.start
        for _ in range(number):
            found = _LETTER.match(self.text, at)
            at = found.end() if found else at + 1
        return at


def _flaw_of_cell(old: Cell, new: Cell, names: Names) -> str | None:
    before, after = old.source.encode(), new.source.encode()
    whole = (Edit(0, len(before), after, "notebooks"),)
    return PythonFile("cell", before).flaw(after, whole, names)


def _without_sources(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    cells = [
        {**cell, "source": ""} if cell.get("cell_type") == "code" else cell for cell in tree.get("cells", [])
    ]
    return {**tree, "cells": cells}


def _strings(text: str, at: int, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Piece]]:
    """Yield each string value of the JSON *text* from *at* on, with its path."""
    stack: list[tuple[str, tuple[str, ...], int]] = []  # kind, path, number of the item
    key: str | None = None
    while at < len(text):
        letter = text[at]
        if letter in "{[":
            stack.append((letter, path, 0))
            path = (*path, "0") if letter == "[" else path
        elif letter in "}]":
            _, path, _ = stack.pop()
            key = None
        elif letter == ",":
            kind, above, number = stack[-1]
            stack[-1] = (kind, above, number + 1)
            path, key = ((*above, str(number + 1)), None) if kind == "[" else (above, None)
        elif letter == '"':
            value, end = _DECODER.raw_decode(text, at)
            if stack and stack[-1][0] == "{" and key is None:
                key = value
                path = (*stack[-1][1], value)
            else:
                yield path, Piece(value, at + 1)
            at = end - 1
        at += 1
