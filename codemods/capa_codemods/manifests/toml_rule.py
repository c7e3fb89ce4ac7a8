"""Add Capa to the lists and tables of TOML manifests that have an SDK.

Each place is tried and the result read again: the first edit that gives exactly the wanted data is made. Where none
does, the finding has the line to add by hand.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard, TypeVar

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.entry_points import moved_entries
from capa_codemods.manifests.inserted import inserted, replaced
from capa_codemods.manifests.locks import stale_locks
from capa_codemods.manifests.pins import contradictions
from capa_codemods.manifests.requirement import Missing, capa_requirement, missing, with_extras
from capa_codemods.manifests.toml_manifest import Path, TomlManifest, extras_of
from capa_codemods.project import Project
from capa_codemods.rule import Rule
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, normalized_name
from capa_codemods.write.splice import ordered_edits, splice

M = TypeVar("M", bound=TomlManifest)


# Of Poetry, Pipenv and Pixi. Pipenv takes the names of all markers as well.
_CONDITIONS = frozenset(
    {
        *("optional", "markers", "python", "platform"),
        *("os_name", "sys_platform", "platform_machine", "platform_system", "platform_python_implementation"),
        *("python_version", "python_full_version", "implementation_name", "implementation_version"),
        *("platform_release", "platform_version"),
    }
)


class _Sought(NamedTuple):
    """An addition to a manifest: *text*, next to a present entry."""

    beside: str
    text: str


class TomlRule(Rule[M]):
    """The rule for such manifests; each subclass names its kind of file."""

    def check(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa, and findings about the lock files in the same folder."""
        lists = [item for path, items in file.lists for item in self._list(file, path, items, project)]
        tables = [
            item for path, table in file.dependency_tables for item in self._table(file, path, table, project)
        ]
        yield from (*lists, *tables)
        yield from contradictions(self.id, file.required, file.line_with, project.names)
        yield from moved_entries(self.id, file.entries, file.path, project)
        if any(isinstance(item, Edit) for item in (*lists, *tables)):
            yield from stale_locks(self.id, file.path, project)

    def doubt(self, file: M, project: Project) -> tuple[str, str] | None:  # noqa: ARG002
        """Return why *file* may not get a table for Capa, and the next step then; None if it may."""
        return None

    def _list(self, file: M, path: Path, items: list[Any], project: Project) -> Iterator[Edit | Finding]:
        for lack in missing(filter(_is_text, items), project.names):
            yield from self._lacking(file, path, items, lack, project)

    def _lacking(
        self, file: M, path: Path, items: list[Any], lack: Missing, project: Project
    ) -> Iterator[Edit | Finding]:
        at = next((at for at, item in enumerate(items) if _is_text(item) and lack.fits(item)), None)
        if at is not None:
            text = with_extras(items[at], lack.extras)
            tries = (replaced(file, one, text, self.id) for one in file.strings if one.value == items[at])
            wanted = [*items[:at], text, *items[at + 1 :]]
        else:
            text = lack.text
            at = max(
                at for at, item in enumerate(items) if _is_text(item) and lack.is_for(item, project.names)
            )
            tries = (inserted(file, one, text, self.id) for one in file.strings if one.value == items[at])
            wanted = [*items[: at + 1], text, *items[at + 1 :]]
        yield from self._first_right(file, tries, path, wanted, _Sought(items[at], text))

    def _table(
        self, file: M, path: Path, table: dict[str, Any], project: Project
    ) -> Iterator[Edit | Finding]:
        present = [
            extra
            for key, value in table.items()
            if normalized_name(key) == CAPA_DISTRIBUTION
            for extra in extras_of(value)
        ]
        sdks = {key: owner.extra for key in table if (owner := project.names.required(key))}
        always = {key: extra for key, extra in sdks.items() if not _condition(table[key])}
        extras = sorted(set(always.values()))
        if "all" in present:
            return
        for key, extra in sdks.items():
            if extra not in (*present, *extras):
                place, wanted = ".".join(path), capa_requirement([extra])
                message = f"{place}: {key} is required under a condition and {wanted} is not"
                step = f"add it by hand, with `{_condition(table[key])}` too"
                yield Finding(self.id, file.line_with(key), "warning", message, step)
        if set(extras) <= set(present):
            return
        beside = list(always)[-1]
        if doubt := self.doubt(file, project):
            message = f"{'.'.join(path)}: requires {beside} without {capa_requirement(extras)}: {doubt[0]}"
            yield Finding(self.id, file.line_with(beside), "warning", message, doubt[1])
        else:
            yield from self._extras(file, path, table, beside, extras)

    def _extras(
        self, file: M, path: Path, table: dict[str, Any], beside: str, extras: list[str]
    ) -> Iterator[Edit | Finding]:
        if CAPA_DISTRIBUTION in map(normalized_name, table):
            missing = capa_requirement(extras).removeprefix(CAPA_DISTRIBUTION)
            message = f"{'.'.join(path)}: {CAPA_DISTRIBUTION} is required without {missing}"
            at = file.line_with(CAPA_DISTRIBUTION)
            yield Finding(self.id, at, "warning", message, "add the extras by hand")
            return
        listed = ", ".join(f'"{extra}"' for extra in extras)
        line = f'{CAPA_DISTRIBUTION} = {{version = "*", extras = [{listed}]}}'
        tries = (_line_after(file, found, line, self.id) for found in _settings(file, beside))
        wanted = {**table, CAPA_DISTRIBUTION: {"version": "*", "extras": extras}}
        yield from self._first_right(file, tries, path, wanted, _Sought(beside, line))

    def _first_right(
        self, file: TomlManifest, tries: Iterator[Sequence[Edit]], path: Path, wanted: object, sought: _Sought
    ) -> Iterator[Edit | Finding]:
        """Yield the first of *tries* after which the data at *path* is *wanted* and all else as it was."""
        expected = _with(file.tables, path, wanted)
        for edits in tries:
            try:
                after = type(file)(file.path, splice(file.data, ordered_edits(edits)))
            except UnreadableError:
                continue
            if after.tables == expected:
                yield from edits
                return
        message = f"{sought.text} fits no place in {'.'.join(path)}"
        yield Finding(self.id, file.line_with(sought.beside), "warning", message, "add it by hand")


def _condition(value: object) -> str:
    """Return the key that makes *value*, of a dependency in a table, conditional; empty if there is none."""
    entries = value if isinstance(value, list) else [value]
    keys = (key for entry in entries if isinstance(entry, dict) for key, found in entry.items() if found)
    return next((key for key in keys if key in _CONDITIONS), "")


def _settings(file: TomlManifest, key: str) -> Iterator[re.Match[str]]:
    """Yield the lines that set *key*, in any table."""
    pattern = rf"^([ \t]*)[\"']?{re.escape(key)}[\"']?[ \t]*=[^\r\n]*"
    return re.finditer(pattern, file.text, re.MULTILINE)


def _line_after(file: TomlManifest, found: re.Match[str], line: str, rule: str) -> list[Edit]:
    newline = "\r\n" if "\r\n" in file.text else "\n"
    end = file.offset(found.end())
    return [Edit(end, end, f"{newline}{found[1]}{line}".encode(), rule)]


def _with(tables: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    result = copy.deepcopy(tables)
    table = result
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return result


def _is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)  # a group may include another by a table
