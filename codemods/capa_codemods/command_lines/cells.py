"""Find the commands in a cell of a notebook: behind `!`, in the magics that install, and in cells for a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator

from capa_codemods.command_lines.found import SimpleCommand
from capa_codemods.command_lines.simple import simple_commands
from capa_codemods.command_lines.statements import statements
from capa_codemods.read.notebook_file import Cell

_FOR_A_SHELL = re.compile(r"%%(?:bash|sh|!|system|script\s+(?:\S*/)?(?:ba)?sh)\b")
_COMMAND = re.compile(r"[ \t]*(?:\w+\s*=\s*)?(?:!{1,2}|%(?=(?:pip|conda|mamba|uv)\s))(?P<command>.*)")


def cell_commands(cell: Cell) -> Iterator[SimpleCommand]:
    """Yield the simple commands of *cell*, each without its wrappers; their lines are those of the cell."""
    if "!" not in cell.text and "%" not in cell.text:
        return
    lines = [" ".join(line.decode(errors="replace").splitlines()) for line in cell.lines]
    texts = lines[1:] if _FOR_A_SHELL.match(cell.text) else list(_behind_magics(lines))
    first = len(lines) - len(texts)
    for simple in simple_commands(statements("cell.sh", "\n".join(texts))):
        yield simple._replace(line=first + simple.line)


def _behind_magics(lines: list[str]) -> Iterator[str]:
    """Yield for each of *lines* the command in it, or an empty text where there is none."""
    continues = False
    for line in lines:
        found = _COMMAND.match(line)
        command = found["command"] if found else line if continues else ""
        continues = command.endswith("\\")
        yield command
