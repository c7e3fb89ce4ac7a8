"""Add Capa to the lists and tables of TOML manifests that have an SDK.

Each place is tried and the result read again: the first edit that gives exactly the wanted data is made. Where none
does, the finding has the line to add by hand.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard, TypeVar

from capa_codemods import __version__
from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.entry_points import moved_entries
from capa_codemods.manifests.inserted import inserted, inserted_before, replaced
from capa_codemods.manifests.lines import is_capa
from capa_codemods.manifests.locks import locks_without_capa, stale_locks
from capa_codemods.manifests.manifest_rule import ManifestRule
from capa_codemods.manifests.missing import Missing, missing
from capa_codemods.manifests.needs import PYTHON
from capa_codemods.manifests.neighbours import are_pinned, sorted_place
from capa_codemods.manifests.requirement import capa_requirement, with_extras
from capa_codemods.manifests.toml_manifest import Path, TomlManifest, extras_of
from capa_codemods.project import Project
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


# The pin of one version, in a table of Poetry.
_PLAIN = re.compile(r"\d+(?:\.\d+)+")


_UNLOCKED = (("build-system",), ("tool", "hatch"), ("tool", "tox"), ("tool", "flit"))
"""Places whose requirements no lock file holds."""


class _Sought(NamedTuple):
    """An addition to a manifest: *text*, next to a present entry."""

    beside: str
    text: str


class TomlRule(ManifestRule[M]):
    """The rule for such manifests; each subclass names its kind of file."""

    def added(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa, and findings about the lock files in the same folder."""
        changed: list[Path] = []
        for path, found in file.places:
            put = self._list if isinstance(found, list) else self._table
            for item in put(file, path, found, project):
                changed += [path] if isinstance(item, Edit) else []
                yield item
        yield from moved_entries(self.id, file.entries, file.path, project)
        yield from self._locks(file, changed, project)

    def _locks(self, file: M, changed: Sequence[Path], project: Project) -> Iterator[Finding]:
        if any(map(_is_locked, changed)):
            yield from stale_locks(self.id, file.path, project)
        elif not changed and any(_names_capa(found) for path, found in file.places if _is_locked(path)):
            yield from locks_without_capa(self.id, file.path, project)

    def doubt(self, file: M, project: Project) -> tuple[str, str] | None:  # noqa: ARG002
        """Return why *file* may not get a table for Capa, and the next step then; None if it may."""
        return None

    def _list(self, file: M, path: Path, items: list[Any], project: Project) -> Iterator[Edit | Finding]:
        lacks = missing(filter(_is_text, items), project.names)
        for lack in lacks:
            yield from self._lacking(file, path, items, lack, project, is_only=len(lacks) == 1)

    def _lacking(
        self, file: M, path: Path, items: list[Any], lack: Missing, project: Project, *, is_only: bool
    ) -> Iterator[Edit | Finding]:
        at = next((at for at, item in enumerate(items) if _is_text(item) and lack.fits(item)), None)
        if at is not None:
            text = with_extras(items[at], lack.extras)
            tries = (replaced(file, one, text, self.id) for one in file.strings if one.value == items[at])
            wanted = [*items[:at], text, *items[at + 1 :]]
        else:
            texts = list(filter(_is_text, items))
            text = lack.text_among(texts)
            place = sorted_place(texts, text) if is_only and len(texts) == len(items) else None
            if place is None:
                place = 1 + max(
                    at for at, one in enumerate(items) if _is_text(one) and lack.is_for(one, project.names)
                )
            at = max(0, place - 1)
            put = inserted if place else inserted_before
            tries = (put(file, one, text, self.id) for one in file.strings if one.value == items[at])
            wanted = [*items[:place], text, *items[place:]]
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
                yield Finding(self.id, file.line_with(key), "warning", message, step, blocks=True)
        if set(extras) <= set(present):
            return
        beside = list(always)[-1]
        if doubt := self.doubt(file, project):
            message = f"{'.'.join(path)}: requires {beside} without {capa_requirement(extras)}: {doubt[0]}"
            yield Finding(self.id, file.line_with(beside), "warning", message, doubt[1], blocks=True)
        else:
            yield from self._extras(file, path, table, beside, extras)

    def _extras(
        self, file: M, path: Path, table: dict[str, Any], beside: str, extras: list[str]
    ) -> Iterator[Edit | Finding]:
        if CAPA_DISTRIBUTION in map(normalized_name, table):
            missing = capa_requirement(extras).removeprefix(CAPA_DISTRIBUTION)
            message = f"{'.'.join(path)}: {CAPA_DISTRIBUTION} is required without {missing}"
            at = file.line_with(CAPA_DISTRIBUTION)
            yield Finding(self.id, at, "warning", message, "add the extras by hand", blocks=True)
            return
        listed = ", ".join(f'"{extra}"' for extra in extras)
        version = _version_among(table)
        line = f'{CAPA_DISTRIBUTION} = {{version = "{version}", extras = [{listed}]}}'
        tries = _lines(file, table, beside, line, self.id)
        wanted = {**table, CAPA_DISTRIBUTION: {"version": version, "extras": extras}}
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
        line = file.line_with(sought.beside)
        yield Finding(self.id, line, "warning", message, "add it by hand", blocks=True)


def _is_locked(path: Path) -> bool:
    return not any(path[: len(place)] == place for place in _UNLOCKED)


def _names_capa(found: list[Any] | dict[str, Any]) -> bool:
    if isinstance(found, list):
        return any(_is_text(item) and is_capa(item) for item in found)
    return CAPA_DISTRIBUTION in map(normalized_name, found)


def _condition(value: object) -> str:
    """Return the key that makes *value*, of a dependency in a table, conditional; empty if there is none."""
    entries = value if isinstance(value, list) else [value]
    keys = (key for entry in entries if isinstance(entry, dict) for key, found in entry.items() if found)
    return next((key for key in keys if key in _CONDITIONS), "")


def _version_among(table: Mapping[str, Any]) -> str:
    """Return the version of Capa to require in *table*: any, or this one where all others are pinned."""
    versions = [
        str(value.get("version", "*") if isinstance(value, dict) else value)
        for key, value in table.items()
        if key != PYTHON
    ]
    if are_pinned([f"x{version}" for version in versions]):
        return f"=={__version__}"
    return __version__ if versions and all(map(_PLAIN.fullmatch, versions)) else "*"


def _lines(
    file: TomlManifest, table: Mapping[str, Any], beside: str, line: str, rule: str
) -> Iterator[Sequence[Edit]]:
    """Yield edits that put *line* into *table*: so that its keys stay sorted, and then after the key *beside*."""
    keys = [key for key in table if key != PYTHON]  # by custom the first
    place = sorted_place(keys, CAPA_DISTRIBUTION)
    if place == 0 and PYTHON not in table:
        yield from (_line_before(file, found, line, rule) for found in _settings(file, keys[0]))
    elif place is not None:
        yield from (
            _line_after(file, found, line, rule)
            for found in _settings(file, keys[place - 1] if place else PYTHON)
        )
    yield from (_line_after(file, found, line, rule) for found in _settings(file, beside))


def _settings(file: TomlManifest, key: str) -> Iterator[re.Match[str]]:
    """Yield the lines that set *key*, in any table."""
    pattern = rf"^([ \t]*)[\"']?{re.escape(key)}[\"']?[ \t]*=[^\r\n]*"
    return re.finditer(pattern, file.text, re.MULTILINE)


def _line_after(file: TomlManifest, found: re.Match[str], line: str, rule: str) -> list[Edit]:
    newline = "\r\n" if "\r\n" in file.text else "\n"
    end = file.offset(found.end())
    return [Edit(end, end, f"{newline}{found[1]}{line}".encode(), rule)]


def _line_before(file: TomlManifest, found: re.Match[str], line: str, rule: str) -> list[Edit]:
    newline = "\r\n" if "\r\n" in file.text else "\n"
    begin = file.offset(found.start())
    return [Edit(begin, begin, f"{found[1]}{line}{newline}".encode(), rule)]


def _with(tables: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    result = copy.deepcopy(tables)
    table = result
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return result


def _is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)  # a group may include another by a table
