"""Commands in Dockerfiles, compose files, Procfiles, units, workflows, Makefiles and scripts: read, never changed.

    celery -A proj worker            nothing: it starts the migrated application as it is
    celery -A proj graph workers     a warning: it is refused
    celery -A proj worker -P gevent  a warning: the pool is not served, and with `multi start` the same
    RUN pip install requests         a warning: capa-core[requests] would be missing there
    pytest -p celery.contrib.pytest  a warning: the plug-in is the original's, in `addopts` too

Celery's own program loads the application that `-A` names, and the application is Capa's. So no command is changed,
and one that would not work is reported for a decision.
"""

from __future__ import annotations

from collections.abc import Iterator

from capa_codemods.command_lines.command_file import CommandFile
from capa_codemods.command_lines.found import SimpleCommand
from capa_codemods.command_lines.installs import installation
from capa_codemods.command_lines.judged import StartedCommand, started_command
from capa_codemods.command_lines.plugins import plugins
from capa_codemods.findings import Edit, Finding, Level
from capa_codemods.manifests.brought import brings
from capa_codemods.manifests.exclusions import excluding_pins
from capa_codemods.manifests.missing import missing_extras
from capa_codemods.manifests.pins import Pin
from capa_codemods.manifests.requirement import capa_requirement
from capa_codemods.project import Project
from capa_codemods.rule import Rule
from capa_codemods.sdks.import_map import reason_id

_PROGRAMS = ("worker", "beat")
"""The sub-commands that start a program of the application; others show something or do something once."""


class Commands(Rule[CommandFile]):
    """Name the commands that the migrated application does not serve, and installations that lack Capa."""

    id = "commands"
    summary = (
        "commands that would not work on the migrated application, and installations without it, are named"
    )
    reads = CommandFile

    def check(self, file: CommandFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield a finding for each such command."""
        for simple in file.commands:
            yield from self.findings_of(simple, file.path, project)

    def findings_of(self, simple: SimpleCommand, path: str, project: Project) -> Iterator[Finding]:
        """Yield the findings about one command of the file at *path*."""
        if found := started_command(simple, project.names):
            yield from self._started(found)
        else:
            yield from self._installed(simple, path, project)
            yield from self._loaded(simple, project)

    def _started(self, found: StartedCommand) -> Iterator[Finding]:
        for line in found.lines:
            level: Level = "warning" if line.support == "none" else "note"
            message = f"`{' '.join(found.words)}`: {line.reason}"
            step = f"`capa explain {reason_id(line.see)}`" if line.see else "name it with -A"
            blocks = level == "warning" and found.command.starts in _PROGRAMS
            yield Finding(self.id, found.line, level, message, step, blocks)

    def _installed(self, simple: SimpleCommand, path: str, project: Project) -> Iterator[Finding]:
        found = installation(simple.words)
        if found is None:
            return
        pins = (Pin(text, simple.line) for text in found.requirements)
        excluded = excluding_pins(self.id, pins, project.names)
        yield from excluded
        missing = missing_extras(found.requirements, project.names)
        if missing and not excluded and not brings(found, missing, path, project):
            wanted = capa_requirement(missing)
            message = f"`{' '.join(simple.words)}` installs an SDK and not {wanted}"
            step = f"install '{wanted}' with pip after it" if found.is_of_conda else f"add '{wanted}' to it"
            yield Finding(self.id, simple.line, "warning", message, step, blocks=True)

    def _loaded(self, simple: SimpleCommand, project: Project) -> Iterator[Finding]:
        for module in plugins(simple.words):
            if new := project.names.modules.get(module):
                message = f"`-p {module}` loads the plug-in of the original into pytest"
                yield Finding(self.id, simple.line, "warning", message, f"name {new} there", blocks=True)
