"""Support of the commands that start an SDK, from the import maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.command_lines.celery import CeleryCommand, celery_command
from capa_codemods.command_lines.found import SimpleCommand
from capa_codemods.sdks.import_map import CommandLine
from capa_codemods.sdks.names import Names

PROGRAM = "celery"
_ORDER = ("none", "partial", "full")


class StartedCommand(NamedTuple):
    """A command that starts Celery, and the lines of the import maps about it, worst first."""

    line: int
    words: tuple[str, ...]
    command: CeleryCommand
    lines: tuple[CommandLine, ...]


def started_command(simple: SimpleCommand, names: Names) -> StartedCommand | None:
    """Return the command that *simple* starts, with its support; None if it is not Celery's."""
    command = celery_command(simple.words)
    if command is None:
        return None
    lines = sorted(_lines_about(command, names), key=lambda line: _ORDER.index(line.support))
    return StartedCommand(simple.line, simple.words, command, tuple(lines))


def _lines_about(command: CeleryCommand, names: Names) -> Iterator[CommandLine]:
    for one in names.maps:
        for line in one.commands:
            if line.name == f"{PROGRAM} {command.starts}".strip() and _applies(line, command):
                yield line


def _applies(line: CommandLine, command: CeleryCommand) -> bool:
    given = [command.options[option] for option in line.options if option in command.options]
    if line.options and not given:
        return False
    if line.values and not set(line.values).intersection(given):
        return False
    return not set(line.without).intersection(command.options)
