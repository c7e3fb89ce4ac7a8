"""Commands that start Celery, each with how well the migrated application serves it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from capa_codemods.api import (
    LARGEST_BYTES,
    CommandFile,
    NotebookFile,
    Project,
    SimpleCommand,
    StartedCommand,
    Support,
    UnreadableError,
    read_file,
    started_command,
)

_RUNS_COMMANDS = re.compile(rb"!|%%")


class Command(NamedTuple):
    """One command that starts Celery.

    Attributes:
        subcommand: `worker`, `beat`, …; empty if only options are given.
        application: The argument of `-A`; empty if there is none.
        text: The command as it is written, without its wrappers.
        reason: The reason if the support is not `full`.
    """

    path: str
    line: int
    subcommand: str
    application: str
    text: str
    support: Support = "full"
    reason: str = ""
    see: str = ""
    instead: str = ""

    @property
    def summary(self) -> str:
        """The effect of the rewrite on the command, after its support if that is not `full`."""
        return f"{self.support}: {self.effect}" if self.reason else self.effect

    @property
    def effect(self) -> str:
        """The effect of the rewrite on the command."""
        if self.reason:
            instead = f"; use {self.instead}" if self.instead else ""
            return self.reason + instead + (f" (see {self.see})" if self.see else "")
        return "starts the migrated application as it is"


def commands(paths: list[str], project: Project) -> Iterator[Command]:
    """Yield the commands in the files at *paths* that start Celery."""
    for path in paths:
        claims = CommandFile.claims(path) or NotebookFile.claims(path)
        data = _read(f"{project.root}/{path}") if claims else b""
        found = _in_notebook(path, data) if NotebookFile.claims(path) else _in_file(path, data, project)
        for simple in found:
            if one := started_command(simple, project.names):
                yield _command(path, one)


def _read(place: str) -> bytes:
    """Return the bytes of the file at *place*; none if it cannot be read or is too large to hold commands."""
    try:
        data = read_file(place) or b""
    except OSError:
        return b""
    return data if len(data) <= LARGEST_BYTES else b""


def _in_file(path: str, data: bytes, project: Project) -> Iterable[SimpleCommand]:
    return CommandFile(path, data).commands if CommandFile.may_concern(data, project.names) else ()


def _in_notebook(path: str, data: bytes) -> Iterator[SimpleCommand]:
    if b"celery" not in data or not _RUNS_COMMANDS.search(data):
        return
    try:
        file = NotebookFile(path, data)
    except UnreadableError:
        return  # the scan for call sites reports it
    from capa_codemods.api import cell_commands

    for cell in file.code:
        for simple in cell_commands(cell):
            yield simple._replace(line=file.lines(cell)[simple.line - 1])


def _command(path: str, found: StartedCommand) -> Command:
    command, worst = found.command, found.lines[0] if found.lines else None
    support = (worst.support, worst.reason, worst.see, worst.instead) if worst else ()
    return Command(
        path, found.line, command.subcommand, command.application, shlex.join(found.words), *support
    )
