"""Read a manifest in TOML: its data, the places of its strings, and its lists and tables of requirements."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.manifests.entry_points import Entry, ManifestOfName, original
from capa_codemods.manifests.ini_file import ToxIni
from capa_codemods.manifests.lines import is_capa
from capa_codemods.manifests.pins import Pin
from capa_codemods.read.document import decoded
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names, normalized_name

# Comments and multi-line strings are matched too, so that quotes inside them begin no string.
_TOKEN = re.compile(
    r"""
    \#[^\n]*
    | \"{3} (?:\\.|[^\\])*? \"{3}
    | '{3} .*? '{3}
    | \"(?:\\.|[^\"\\\n])*\"
    | '[^'\n]*'
    """,
    re.DOTALL | re.VERBOSE,
)

UV_CONSTRAINTS = (
    "tool.uv.constraint-dependencies",
    "tool.uv.override-dependencies",
    "tool.uv.build-constraint-dependencies",
)
Path = tuple[str, ...]


class Text(NamedTuple):
    """One string of one line; *start* and *end* enclose it with its quotes, in characters."""

    value: str
    start: int
    end: int


class TomlManifest(ManifestOfName):
    """A pyproject.toml or a Pipfile.

    Attributes:
        list_places: Patterns for the places of lists of requirements: `*` is any one key.
        table_places: The same for tables from distribution to version or table.
        entry_places: The same for entry points.
        constraint_places: The same for lists and tables of constraints, which require nothing.
        python_places: The same for the versions of Python.
    """

    list_places: ClassVar[tuple[str, ...]] = ()
    table_places: ClassVar[tuple[str, ...]] = ()
    entry_places: ClassVar[tuple[str, ...]] = ()
    constraint_places: ClassVar[tuple[str, ...]] = ()
    python_places: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*.

        Raises:
            UnreadableError: It is not TOML.
        """
        super().__init__(path, data)
        self.source = self.text = decoded(data)
        try:
            self.tables = tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:
            found = re.search(r"at line (\d+)", str(error))
            line = int(found[1]) if found else 0
            raise UnreadableError(
                f"not TOML: {error}", line=line, next_step="correct it and run again"
            ) from error

    @cached_property
    def strings(self) -> Sequence[Text]:
        """All strings of one line, with their places."""
        found = (
            match for match in _TOKEN.finditer(self.text) if match[0][0] in "\"'" and "\n" not in match[0]
        )
        return tuple(Text(_value(match[0]), match.start(), match.end()) for match in found)

    @property
    def lists(self) -> Iterator[tuple[Path, list[Any]]]:
        """Yield the lists of requirements with their places in the data."""
        yield from ((path, found) for path, found in self._at(self.list_places) if isinstance(found, list))

    @property
    def dependency_tables(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the tables from distribution to version with their places in the data."""
        yield from ((path, found) for path, found in self._at(self.table_places) if isinstance(found, dict))

    @property
    def places(self) -> Iterator[tuple[Path, Any]]:
        """Yield the lists and then the tables."""
        yield from self.lists
        yield from self.dependency_tables

    @property
    def required(self) -> Iterator[tuple[str, str]]:
        """Yield all requirements of the lists and tables, each with the part of it that the file has verbatim."""
        for _, found in self.places:
            yield from _required_in(found)

    @property
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements and constraints, and the versions of Python."""
        for text, written in self.required:
            yield Pin(text, self.line_with(written))
        for _, found in self._at(self.constraint_places):
            for text, written in _required_in(found):
                yield Pin(text, self.line_with(written))
        for path, versions in self._at(self.python_places):
            if isinstance(versions, str):
                yield Pin.of_python(versions, self.line_with(path[-1]))

    @property
    def entries(self) -> Iterator[Entry]:
        """Yield the entry points whose only places are strings of one line."""
        wanted = [value for _, value in self._at(self.entry_places) if isinstance(value, str)]
        for value in dict.fromkeys(wanted):
            written = [text for text in self.strings if text.value == value]
            if len(written) == wanted.count(value):
                for text in written:
                    start = self.offset(text.start + 1)
                    yield Entry(value, start, self.line_of(start))

    def _at(self, places: Sequence[str]) -> Iterator[tuple[Path, Any]]:
        for place in places:
            found: list[tuple[Path, Any]] = [((), self.tables)]
            for key in place.split("."):
                found = [
                    ((*path, name), value[name])
                    for path, value in found
                    if isinstance(value, dict)
                    for name in (value if key == "*" else [key])
                    if name in value
                ]
            yield from found

    def line_with(self, text: str) -> int:
        """Return the first line that sets *text*, or else has it in quotes or at all, or else the first of all."""
        word = re.escape(text)
        for pattern in (rf"^[ \t]*[\"']?{word}[\"']?[ \t]*=", rf"[\"']{word}[\"']", word):
            if found := re.search(pattern, self.text, re.MULTILINE):
                return self.text.count("\n", 0, found.end()) + 1
        return 1

    def offset(self, at: int) -> int:
        """Return where the character number *at* begins in the bytes."""
        return len(self.source[:at].encode())

    def flaw(self, new: bytes, names: Names) -> str | None:
        """Read *new* and compare: nothing but the requirements of Capa and the modules of entry points may differ."""
        try:
            after = type(self)(self.path, new).tables
        except UnreadableError as error:
            return f"the result is no longer TOML: {error}"
        return (
            None
            if _without_capa(self.tables, names) == _without_capa(after, names)
            else "something but Capa's line differs"
        )


def _required_in(found: object) -> Iterator[tuple[str, str]]:
    """Yield the requirements of a list, or a table from distribution to version, each with the item or its key."""
    if isinstance(found, list):
        yield from ((item, item) for item in found if isinstance(item, str))
    for key, value in found.items() if isinstance(found, dict) else ():
        version = value.get("version") if isinstance(value, dict) else value
        written = version if isinstance(version, str) else ""
        yield f"{key}[{','.join(extras_of(value))}]{written}", key


def extras_of(value: object) -> list[str]:
    """Return the extras that *value*, of a dependency in a table, names."""
    listed = value.get("extras") if isinstance(value, dict) else None
    return [extra for extra in listed if isinstance(extra, str)] if isinstance(listed, list) else []


def _without_capa(value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_capa(item, names)
            for key, item in value.items()
            if normalized_name(key) != CAPA_DISTRIBUTION
        }
    if isinstance(value, list):
        kept = (item for item in value if not (isinstance(item, str) and is_capa(item)))
        return [_without_capa(item, names) for item in kept]
    return original(value, names) if isinstance(value, str) else value


def _value(token: str) -> str:
    return str(tomllib.loads(f"x = {token}")["x"])


_PIXI_PLACES = tuple(
    f"tool.pixi.{place}{kind}dependencies"
    for place in ("", "feature.*.", "target.*.", "feature.*.target.*.")
    for kind in ("", "host-", "build-")
)


class PyprojectFile(TomlManifest):
    """A pyproject.toml, with the places of the standards and of the tools that have their own."""

    suffixes = ("pyproject.toml",)
    list_places = (
        "build-system.requires",
        "project.dependencies",
        "project.optional-dependencies.*",
        "dependency-groups.*",
        "tool.pdm.dev-dependencies.*",
        "tool.uv.dev-dependencies",
        "tool.rye.dev-dependencies",
        "tool.hatch.envs.*.dependencies",
        "tool.hatch.envs.*.extra-dependencies",
        "tool.flit.metadata.requires",
        "tool.flit.metadata.requires-extra.*",
        "tool.tox.env_run_base.deps",
        "tool.tox.env.*.deps",
    )
    table_places = (
        "tool.poetry.dependencies",
        "tool.poetry.dev-dependencies",
        "tool.poetry.group.*.dependencies",
        "tool.pixi.pypi-dependencies",
        "tool.pixi.feature.*.pypi-dependencies",
        "tool.pixi.target.*.pypi-dependencies",
        "tool.pixi.feature.*.target.*.pypi-dependencies",
    )
    entry_places = (
        "project.scripts.*",
        "project.gui-scripts.*",
        "project.entry-points.*.*",
        "tool.poetry.scripts.*",
        "tool.poetry.plugins.*.*",
    )
    constraint_places = (*UV_CONSTRAINTS, "tool.pdm.resolution.overrides")
    python_places = ("project.requires-python", "tool.flit.metadata.requires-python")

    @property
    def conda_tables(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the tables of Pixi with requirements for conda."""
        yield from ((path, found) for path, found in self._at(_PIXI_PLACES) if isinstance(found, dict))

    @property
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements, those that come from conda too, the constraints, and the versions of Python."""
        yield from super().pins
        for _, table in self.conda_tables:
            yield from (Pin(text, self.line_with(key)) for text, key in _required_in(table))
        for texts in self.tox_lists:
            yield from (Pin(text, self.line_with(text)) for text in texts)

    @property
    def is_dynamic(self) -> bool:
        """Whether some requirements of the project are listed elsewhere: in setup.py, a file, a plug-in."""
        found = next((value for _, value in self._at(("project.dynamic",))), None)
        return isinstance(found, list) and any("dependencies" in str(one) for one in found)

    @property
    def legacy_tox_ini(self) -> str:
        """The tox.ini in a string; empty if there is none."""
        found = next((value for _, value in self._at(("tool.tox.legacy_tox_ini",))), "")
        return found if isinstance(found, str) else ""

    @property
    def tox_lists(self) -> list[list[str]]:
        """The lists of requirements in that tox.ini; none if tox cannot read it either."""
        try:
            lists = ToxIni(self.path, self.legacy_tox_ini.encode()).lists
        except UnreadableError:
            return []
        return [[line.text for line in listed.lines] for listed in lists]


_NO_GROUPS = frozenset({"requires", "scripts", "pipenv"})


class Pipfile(TomlManifest):
    """A Pipfile."""

    suffixes = ("Pipfile",)
    python_places = ("requires.python_version", "requires.python_full_version")

    @property
    def dependency_tables(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the tables from distribution to version: each group has one, under any name."""
        for name, table in self.tables.items():
            if isinstance(table, dict) and name not in _NO_GROUPS:
                yield (name,), table
