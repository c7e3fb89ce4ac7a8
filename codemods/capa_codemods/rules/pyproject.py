"""pyproject.toml: Capa is asked for beside the SDK, in the same list or table.

    dependencies = [                     →  dependencies = [
        "requests>=2.31",  # http               "requests>=2.31",  # http
    ]                                           "capa-core[requests]",
                                            ]
    [tool.poetry.dependencies]           →  [tool.poetry.dependencies]
    requests = "^2.31"                      requests = "^2.31"
                                            capa-core = {version = "*", extras = ["requests"]}

PEP 621 dependencies and optional dependencies, PEP 735 groups, and Poetry's tables. Order and comments are kept. Where
no place can be found that gives exactly that, the finding says what to add by hand. Lock files are never edited:
a note names the command that makes them again.
"""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

from capa_codemods.engine.pyproject_file import Path, PyprojectFile, Text
from capa_codemods.engine.splice import ordered, splice
from capa_codemods.findings import Edit, Finding
from capa_codemods.names import CAPA, normalized
from capa_codemods.project import Project
from capa_codemods.requirement import capa_requirement, missing_extras, read_requirement, with_extras
from capa_codemods.rule import Rule

LOCK_COMMANDS = {
    "poetry.lock": "poetry lock",
    "uv.lock": "uv lock",
    "pdm.lock": "pdm lock",
    "pylock.toml": "the command that has made it",
}


class Pyproject(Rule[PyprojectFile]):
    """Ask for Capa where pyproject.toml asks for an SDK."""

    id = "pyproject"
    summary = "pyproject.toml that asks for an SDK asks for capa-core with its extra too"
    reads = PyprojectFile

    def check(self, file: PyprojectFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that ask for Capa, and the commands for the lock files beside."""
        said = [*self._lists(file, project), *self._tables(file, project)]
        yield from said
        if any(isinstance(item, Edit) for item in said):
            yield from self._locks(file, project)

    def _lists(self, file: PyprojectFile, project: Project) -> Iterator[Edit | Finding]:
        for path, items in file.lists:
            missing = missing_extras(filter(_is_text, items), project.names)
            if not missing:
                continue
            at = next((at for at, item in enumerate(items) if _name(item) == CAPA), None)
            if at is not None:
                text = with_extras(items[at], missing)
                tries = (
                    _replaced(file, one, text, self.id) for one in file.strings if one.value == items[at]
                )
                wanted = [*items[:at], text, *items[at + 1 :]]
            else:
                at = max(at for at, item in enumerate(items) if project.names.required(_name(item)))
                text = capa_requirement(missing)
                tries = (
                    _inserted(file, one, text, self.id) for one in file.strings if one.value == items[at]
                )
                wanted = [*items[: at + 1], text, *items[at + 1 :]]
            yield from self._first_right(file, tries, path, wanted, text)

    def _tables(self, file: PyprojectFile, project: Project) -> Iterator[Edit | Finding]:
        for path, table in file.poetry_tables:
            owners = {key: owner for key in table if (owner := project.names.required(key))}
            if not owners or any(normalized(key) == CAPA for key in table):
                continue
            extras = sorted({owner.extra for owner in owners.values()})
            listed = ", ".join(f'"{extra}"' for extra in extras)
            line = f'{CAPA} = {{version = "*", extras = [{listed}]}}'
            tries = (_line_after(file, found, line, self.id) for found in _settings(file, list(owners)[-1]))
            value = {"version": "*", "extras": extras}
            yield from self._first_right(file, tries, path, {**table, CAPA: value}, line)

    def _first_right(
        self, file: PyprojectFile, tries: Iterator[Sequence[Edit]], path: Path, wanted: object, text: str
    ) -> Iterator[Edit | Finding]:
        """Yield the first of *tries* after which the data at *path* is *wanted* and all else as it was."""
        expected = _with(file.tables, path, wanted)
        for edits in tries:
            try:
                after = tomllib.loads(splice(file.data, ordered(edits)).decode())
            except ValueError:
                continue
            if after == expected:
                yield from edits
                return
        place = ".".join(path)
        yield Finding(self.id, 1, "warning", f"no place was found in {place} for {text}", "add it by hand")

    def _locks(self, file: PyprojectFile, project: Project) -> Iterator[Finding]:
        folder = os.path.dirname(f"{project.root}/{file.path}")
        for name, command in LOCK_COMMANDS.items():
            if os.path.lexists(f"{folder}/{name}"):
                yield Finding(
                    self.id, 1, "warning", f"{name} does not know of the change", f"run `{command}`"
                )


def _settings(file: PyprojectFile, key: str) -> Iterator[re.Match[str]]:
    """Yield the lines that set *key*, in any table."""
    pattern = rf"^[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*=[^\r\n]*"
    return re.finditer(pattern, file.text, re.MULTILINE)


def _line_after(file: PyprojectFile, found: re.Match[str], line: str, rule: str) -> list[Edit]:
    newline = "\r\n" if "\r\n" in file.text else "\n"
    end = file.offset(found.end())
    return [Edit(end, end, f"{newline}{line}".encode(), rule)]


def _inserted(file: PyprojectFile, beside: Text, text: str, rule: str) -> list[Edit]:
    """Return the edits that put *text* after the string *beside*: on a line of its own if that has one."""
    begin = file.text.rfind("\n", 0, beside.start) + 1
    indent = file.text[begin : beside.start]
    quote = file.text[beside.start]
    end = file.offset(beside.end)
    rest = re.compile(r"([ \t]*,)?[ \t]*(?:#[^\r\n]*)?(?=\r?\n)").match(file.text, beside.end)
    if indent.strip() or rest is None:
        return [Edit(end, end, f", {quote}{text}{quote}".encode(), rule)]
    newline = "\r\n" if "\r\n" in file.text else "\n"
    line = f"{newline}{indent}{quote}{text}{quote}"
    line_end = file.offset(rest.end())
    if rest[1]:
        return [Edit(line_end, line_end, f"{line},".encode(), rule)]
    if line_end == end:
        return [Edit(end, end, f",{line}".encode(), rule)]
    return [Edit(end, end, b",", rule), Edit(line_end, line_end, line.encode(), rule)]


def _replaced(file: PyprojectFile, old: Text, text: str, rule: str) -> list[Edit]:
    quote = file.text[old.start]
    return [Edit(file.offset(old.start), file.offset(old.end), f"{quote}{text}{quote}".encode(), rule)]


def _with(tables: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    result = copy.deepcopy(tables)
    table = result
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return result


def _is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)  # a group may include another by a table


def _name(item: object) -> str:
    requirement = read_requirement(item) if _is_text(item) else None
    return requirement.name if requirement else ""
