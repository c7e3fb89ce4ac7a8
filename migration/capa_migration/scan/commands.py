"""List the commands that start Celery, each with how well the migrated application serves it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.command_lines.command_file import CommandFile
from capa_codemods.command_lines.judged import started
from capa_codemods.engine.write import read
from capa_codemods.import_map import Support
from capa_codemods.limits import LARGEST_BYTES
from capa_codemods.project import Project


class Command(NamedTuple):
    """One command that starts Celery.

    Attributes:
        subcommand: `worker`, `beat`, …; empty if only options are given.
        application: What `-A` names; empty if nothing does.
        text: The command as it is written, less its wrappers.
        reason: Why the support is not `full`.
    """

    path: str
    line: int
    subcommand: str
    application: str
    text: str
    support: Support = "full"
    reason: str = ""
    see: str = ""

    @property
    def says(self) -> str:
        """What becomes of it after the rewrite."""
        if self.reason:
            return f"{self.support}: {self.reason}" + (f" (see {self.see})" if self.see else "")
        return "starts the migrated application as it is"


def commands(paths: list[str], project: Project) -> Iterator[Command]:
    """Yield the commands in the files at *paths* that start Celery."""
    for path in filter(CommandFile.claims, paths):
        try:
            data = read(f"{project.root}/{path}")
        except OSError:
            continue  # what cannot be read starts nothing
        if data is not None and len(data) <= LARGEST_BYTES and CommandFile.may_concern(data, project.names):
            yield from _commands(CommandFile(path, data), project)


def _commands(file: CommandFile, project: Project) -> Iterator[Command]:
    for simple in file.commands:
        if found := started(simple, project.names):
            asked, worst = found.asked, found.told[0] if found.told else None
            told = (worst.support, worst.reason, worst.see) if worst else ()
            text = shlex.join(found.words)
            yield Command(file.path, found.line, asked.subcommand, asked.application, text, *told)
