"""Code cells of Jupyter notebooks: the rules for Python files, inside the JSON.

    "import requests\\n",       →  "import capa_requests as requests\\n",
    "patch('requests.get')"     →  "patch('capa_requests.get')"

Everything else of the file keeps its bytes: outputs, metadata, indentation. Left alone: notebooks in other languages,
cells for other programs (`%%bash`), and cells that are no Python once their magics are taken for comments; those are
reported. Of commands (`!celery …`, `%pip install requests`, `%%bash`) it reports the same as `commands` for scripts.

A comment `# capa: ignore[imports]`, `[strings]`, `[commands]` or `[notebooks]` counts as in a file; in a cell that
cannot be read it suppresses the report. As a choice, `notebooks` is separate: `--only imports` takes Python files
alone, and `--skip strings` leaves out no strings of cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project
from capa_codemods.read.document import line_ignores
from capa_codemods.read.notebook_file import Cell, NotebookFile
from capa_codemods.rule import Rule
from capa_codemods.rules.commands import Commands
from capa_codemods.rules.imports import Imports
from capa_codemods.rules.strings import Strings

_RULES = (Imports(), Strings())


class Notebooks(Rule[NotebookFile]):
    """Move imports and strings in the code cells of notebooks."""

    id = "notebooks"
    summary = "imports and strings in the code cells of Jupyter notebooks, as in Python files"
    reads = NotebookFile

    def check(self, file: NotebookFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits and findings of all cells, as places in the notebook."""
        for cell in file.cells:
            if project.names.sieve.imports_or_quotes(cell.data):
                yield from self._cell(file, cell, project)
        for cell in file.code:
            yield from self._commands(file, cell, project)

    def _commands(self, file: NotebookFile, cell: Cell, project: Project) -> Iterator[Finding]:
        from capa_codemods.command_lines.cells import cell_commands

        for simple in cell_commands(cell):
            if not any(line_ignores(cell.lines[simple.line - 1], one) for one in (self.id, Commands.id)):
                placed = simple._replace(line=file.lines(cell)[simple.line - 1])
                yield from Commands().findings_of(placed, file.path, project)

    def _cell(self, file: NotebookFile, cell: Cell, project: Project) -> Iterator[Edit | Finding]:
        try:
            python = file.python(cell)
        except UnreadableError as error:
            ids = (self.id, *(rule.id for rule in _RULES))
            if not any(line_ignores(line, one) for line in cell.data.splitlines() for one in ids):
                yield Finding(self.id, error.line, "warning", str(error), "change it by hand", blocks=True)
            return
        lines = file.lines(cell)
        for rule in _RULES:
            for item in rule.check(python, project):
                line = python.line_of_item(item)
                if not any(python.ignores(line, one) for one in (rule.id, self.id)):
                    yield self._placed(file, cell, item, lines[line - 1])

    def _placed(self, file: NotebookFile, cell: Cell, item: Edit | Finding, line: int) -> Edit | Finding:
        if isinstance(item, Finding):
            return item._replace(rule=self.id, line=line)
        start, last = file.place(cell, item.start), file.place(cell, item.end - 1)
        if start is None or last is None or b"\n" in file.data[start:last]:
            message = f"an import in cell {cell.number} runs over several strings of the file"
            return Finding(self.id, line, "warning", message, "change it by hand", blocks=True)
        # Only names are edited, so the last letter is one byte.
        return Edit(
            start, last + 1, json.dumps(item.new.decode(), ensure_ascii=False)[1:-1].encode(), self.id
        )
