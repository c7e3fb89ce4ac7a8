"""Prove a rewritten notebook: only code cells differ, and each of them is proven like a Python file."""

from __future__ import annotations

from typing import Any

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit
from capa_codemods.proof.names import flaw_of_names
from capa_codemods.read.notebook_file import Cell, NotebookFile
from capa_codemods.read.python_file import PythonFile
from capa_codemods.sdks.names import Names


def flaw_of_notebook(file: NotebookFile, new: bytes, names: Names) -> str | None:
    """Return the flaw of *new* as the rewritten *file*, or None if it is proven."""
    try:
        after = NotebookFile(file.path, new)
    except UnreadableError as error:
        return f"the result is no longer a notebook: {error}"
    if _without_sources(file.tree) != _without_sources(after.tree):
        return "something but the source of code cells differs"
    if len(file.cells) != len(after.cells):
        return "the number of code cells differs"
    for old_cell, new_cell in zip(file.cells, after.cells, strict=True):
        if old_cell.text != new_cell.text and (found := _flaw_of_cell(old_cell, new_cell, names)):
            return f"cell {old_cell.number}: {found}"
    return None


def _flaw_of_cell(old: Cell, new: Cell, names: Names) -> str | None:
    whole = (Edit(0, len(old.data), new.data, "notebooks"),)
    return flaw_of_names(PythonFile("cell", old.data), new.data, whole, names)


def _without_sources(tree: Any) -> Any:
    cells = [{**cell, "source": ""} if cell.get("cell_type") == "code" else cell for cell in tree["cells"]]
    return {**tree, "cells": cells}
