"""Read a pyproject.toml: its data, and where its strings stand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from capa_codemods.engine.document import Document
from capa_codemods.engine.requirements_file import decoded
from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit
from capa_codemods.names import CAPA, Names, normalized
from capa_codemods.requirement import read_requirement

# Comments and multi-line strings are matched so that what looks like a string inside them is none.
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

Path = tuple[str, ...]


class Text(NamedTuple):
    """One string of one line; *start* and *end* enclose it with its quotes, in characters."""

    value: str
    start: int
    end: int


class PyprojectFile(Document):
    """A pyproject.toml."""

    suffixes = ("pyproject.toml",)

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*.

        Raises:
            UnreadableError: It is not TOML.
        """
        super().__init__(path, data)
        self.text = decoded(data)
        try:
            self.tables = tomllib.loads(self.text)
        except ValueError as error:
            found = re.search(r"at line (\d+)", str(error))
            line = int(found[1]) if found else 0
            raise UnreadableError(
                f"not TOML: {error}", line=line, next_step="mend it and run again"
            ) from error

    @classmethod
    def claims(cls, path: str) -> bool:
        """Say whether *path* is a pyproject.toml."""
        return path.rpartition("/")[2] == "pyproject.toml"

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Say whether *data* may name a distribution of an SDK."""
        return names.may_require(data.decode(errors="replace"))

    @cached_property
    def strings(self) -> Sequence[Text]:
        """All strings of one line, with their places."""
        found = (
            match for match in _TOKEN.finditer(self.text) if match[0][0] in "\"'" and "\n" not in match[0]
        )
        return tuple(Text(_value(match[0]), match.start(), match.end()) for match in found)

    @property
    def lists(self) -> Iterator[tuple[Path, list[Any]]]:
        """Yield the lists of requirements (PEP 621, PEP 735) with their places in the data."""
        project = _table(self.tables, "project")
        yield ("project", "dependencies"), _list(project.get("dependencies"))
        for extra, listed in _table(project, "optional-dependencies").items():
            yield ("project", "optional-dependencies", extra), _list(listed)
        for group, listed in _table(self.tables, "dependency-groups").items():
            yield ("dependency-groups", group), _list(listed)

    @property
    def poetry_tables(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield Poetry's tables of dependencies with their places in the data."""
        poetry = _table(_table(self.tables, "tool"), "poetry")
        yield ("tool", "poetry", "dependencies"), _table(poetry, "dependencies")
        yield ("tool", "poetry", "dev-dependencies"), _table(poetry, "dev-dependencies")
        for name, group in _table(poetry, "group").items():
            if isinstance(group, dict):
                yield ("tool", "poetry", "group", name, "dependencies"), _table(group, "dependencies")

    def offset(self, at: int) -> int:
        """Return where the character number *at* begins in the bytes."""
        return len(self.text[:at].encode())

    def flaw(self, new: bytes, edits: Sequence[Edit], names: Names) -> str | None:  # noqa: ARG002
        """Read *new* and compare: nothing but what is asked of Capa may differ."""
        try:
            after = type(self)(self.path, new).tables
        except UnreadableError as error:
            return f"the result is no longer TOML: {error}"
        return (
            None
            if _without_capa(self.tables) == _without_capa(after)
            else "something but Capa's line differs"
        )


def _without_capa(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_capa(item) for key, item in value.items() if normalized(key) != CAPA}
    if isinstance(value, list):
        return [_without_capa(item) for item in value if not _is_capa(item)]
    return value


def _is_capa(item: object) -> bool:
    requirement = read_requirement(item) if isinstance(item, str) else None
    return requirement is not None and requirement.name == CAPA


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _value(token: str) -> str:
    return str(tomllib.loads(f"x = {token}")["x"])
