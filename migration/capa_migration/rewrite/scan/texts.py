"""Python texts of a file: all of it, or each code cell of a notebook."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from capa_codemods.api import NotebookFile, PythonFile

SUFFIXES = (*PythonFile.suffixes, *NotebookFile.suffixes)


class Text(NamedTuple):
    """One text of Python.

    Attributes:
        read: Parses it; raises UnreadableError, with a line of the file.
        lines: Of a cell, the line of the file for each of its own; empty for a text that is all of the file.
    """

    data: bytes
    read: Callable[[], PythonFile]
    lines: Sequence[int] = ()

    def line(self, number: int) -> int:
        """Return the line of the file in which line *number* of the text begins."""
        return self.lines[number - 1] if self.lines else number


def claims(path: str) -> bool:
    """Return whether a file of this name holds Python."""
    return path.endswith(SUFFIXES)


def texts(path: str, data: bytes, read: Callable[[str, bytes], PythonFile] = PythonFile) -> list[Text]:
    """Return the Python of the file at *path*, which holds *data*; *read* parses a file that is all Python.

    Raises:
        UnreadableError: It is named like a notebook and is not one.
    """
    if not NotebookFile.claims(path):
        return [Text(data, partial(read, path, data))]
    file = NotebookFile(path, data)
    return [Text(cell.data, partial(file.python, cell), file.lines(cell)) for cell in file.cells]


def joined(parts: Iterable[tuple[Text, ast.Module]]) -> ast.Module:
    """Return one tree for *parts*, in their order, since cells share one namespace; its lines are those of the file."""
    body: list[ast.stmt] = []
    for text, tree in parts:
        if text.lines:
            _move(tree, text)
        body += tree.body
    return ast.Module(body, [])


def _move(tree: ast.Module, text: Text) -> None:
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = text.line(node.lineno)
