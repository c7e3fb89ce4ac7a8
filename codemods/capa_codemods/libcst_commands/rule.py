"""Commands of LibCST as rules: the command returns a whole file, and the differences become edits.

The command runs in LibCST's own process, never here. A file that LibCST does not return byte for byte is left alone,
so every difference is the command's doing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from capa_codemods.errors import RuleFailedError
from capa_codemods.findings import Edit, Finding
from capa_codemods.libcst_commands import process
from capa_codemods.project import Project
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.write.difference import edits_between


class CommandRule(Rule[PythonFile]):
    """One `libcst.codemod.CodemodCommand` that a package registers."""

    reads = PythonFile
    changes_shape = True
    words = ("",)  # only the command knows the files that it concerns
    settings = None  # they are the arguments of its `__init__`
    limits: ClassVar = {"cpu_s": 60.0}
    source = None

    def __init__(self, name: str, package: str, value: str) -> None:
        """Wrap the command at *value*, such as `acme_rules.commands:AddTimeout`."""
        self.id = name  # type: ignore[misc]  # one class wraps all commands
        self.summary = f"the LibCST command {value}"  # type: ignore[misc]
        self.package = package
        self._value = value

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits of the command for *file*, and its warnings.

        Raises:
            RuleFailedError: The command raised, or took its process down. Nothing was yielded.
        """
        answer = self._answer(file, project)
        if error := answer.get("error"):
            raise RuleFailedError(error)
        for warning in answer["warnings"]:
            yield Finding(self.id, 1, "note", warning, "see the description of the command")
        if refused := answer.get("refused"):
            yield Finding(self.id, 1, "warning", refused, "change the file by hand")
        else:
            yield from self._whole(
                file, list(edits_between(file.data, answer["result"].encode("latin-1"), self.id))
            )

    def _answer(self, file: PythonFile, project: Project) -> process.Answer:
        settings = {**self.limits, **project.settings.get(self.id, {})}
        cpu_s = settings.pop("cpu_s")
        question = {
            "source": file.data.decode("latin-1"),
            "folder": f"{project.root}/src" if file.path.startswith("src/") else project.root,
            "path": f"{project.root}/{file.path}",
            "command": self._value,
            "settings": settings,
        }
        try:
            return process.ask_libcst("capa_codemods.libcst_commands.answers", question, cpu_s)
        except process.SlowError as error:
            more = f"`cpu_s = {2 * cpu_s:g}` in [tool.capa.migrate.{self.id}] of pyproject.toml gives it more"
            raise RuleFailedError(f"{error}: {more}") from error
        except process.NoAnswerError as error:
            raise RuleFailedError(str(error)) from error

    def _whole(self, file: PythonFile, edits: list[Edit]) -> Iterator[Edit | Finding]:
        """Yield *edits*, or none where a comment excludes some: an import is useless without the call that needs it."""
        lines = {
            line
            for edit in edits
            for line in range(file.line_of(edit.start), file.line_of(max(edit.start, edit.end - 1)) + 1)
        }
        free = [line for line in sorted(lines) if not file.ignores(line, self.id)]
        if len(free) == len(lines):
            yield from edits
        elif free:
            message = "a comment excludes one line, so nothing of the file is changed"
            yield Finding(self.id, free[0], "note", message, "change the file by hand, or remove the comment")
