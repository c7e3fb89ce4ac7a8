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
    """A command that starts Celery, and what is not served in full of it, worst first."""

    line: int
    words: tuple[str, ...]
    asked: CeleryCommand
    lines: tuple[CommandLine, ...]


def started_command(simple: SimpleCommand, names: Names) -> StartedCommand | None:
    """Return what *simple* starts; None if it is another command."""
    asked = celery_command(simple.words)
    if asked is None:
        return None
    lines = sorted(_lines_about(asked, names), key=lambda line: _ORDER.index(line.support))
    return StartedCommand(simple.line, simple.words, asked, tuple(lines))


def _lines_about(asked: CeleryCommand, names: Names) -> Iterator[CommandLine]:
    for one in names.maps:
        for line in one.commands:
            if line.name == f"{PROGRAM} {asked.starts}".strip() and _speaks_of(line, asked):
                yield line


def _speaks_of(line: CommandLine, asked: CeleryCommand) -> bool:
    given = [asked.options[option] for option in line.options if option in asked.options]
    if line.options and not given:
        return False
    if line.values and not set(line.values).intersection(given):
        return False
    return not set(line.without).intersection(asked.options)
