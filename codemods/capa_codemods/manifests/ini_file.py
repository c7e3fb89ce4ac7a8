"""Read setup.cfg and tox.ini: their lists of requirements, each line with its place."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.manifests.entry_points import Entry, ManifestOfName, original
from capa_codemods.manifests.lines import Doubt, Line, LineManifest, Listed, is_capa
from capa_codemods.manifests.pins import Pin
from capa_codemods.manifests.requirement import read_requirement
from capa_codemods.sdks.names import Names

_SECTION = re.compile(r"\[([^\]\r\n]+)\]")
_OPTION = re.compile(r"([^\s#;\[=:][^=:\r\n]*)[=:][ \t]*")
_LINE = re.compile(r"[^\r\n]*")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
# tox: only for some environments (`py311: requests`).
_FACTOR = re.compile(r"[\w{},!.-]+:[ \t]+")


class _Row(NamedTuple):
    """One line of a value, by its place in the text; *is_first* is the one behind the option's name."""

    text: str
    start: int
    end: int
    is_first: bool


class IniFile(ManifestOfName, LineManifest):
    """A manifest in the format of `configparser`."""

    options: ClassVar[tuple[tuple[str, str], ...]]
    """Patterns for the section and the option that hold requirements."""

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*.

        Raises:
            UnreadableError: It is not UTF-8, or breaks the format.
        """
        super().__init__(path, data)
        self.values = _values(self.text)

    @cached_property
    def lists(self) -> Sequence[Listed]:
        """The lists of requirements, one for each option that holds some."""
        found: dict[tuple[str, str], list[_Row]] = {}
        for section, option, row in self._rows():
            if any(re.fullmatch(one, section) and re.fullmatch(other, option) for one, other in self.options):
                found.setdefault((section, option), []).append(row)
        return [self._listed(rows) for rows in found.values()]

    @property
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements, and the versions of Python."""
        yield from super().pins
        for _, option, row in self._rows():
            if option == "python_requires":
                yield Pin.of_python(row.text, self.line_of(self.offset(row.start)))

    @property
    def entries(self) -> Iterator[Entry]:
        """Yield the entry points, one a line."""
        for section, _, row in self._rows():
            if section == "options.entry_points" and "=" in row.text:
                start = self.offset(row.start)
                yield Entry(row.text.rstrip(), start, self.line_of(start))

    def _rows(self) -> Iterator[tuple[str, str, _Row]]:
        section = option = ""
        at = 0
        while at < len(self.text):
            found = _LINE.match(self.text, at)
            end = found.end() if found else len(self.text)
            line = self.text[at:end]
            if head := _SECTION.match(line):
                section, option = head[1], ""
            elif begun := _OPTION.match(line):
                option = begun[1].rstrip().lower()
                yield section, option, _Row(line[begun.end() :], at + begun.end(), end, is_first=True)
            elif line[:1] in {" ", "\t"} and option:
                indent = len(line) - len(line.lstrip())
                yield section, option, _Row(line[indent:], at + indent, end, is_first=False)
            at = end + (2 if self.text.startswith("\r\n", end) else 1)

    def _listed(self, rows: list[_Row]) -> Listed:
        lines: list[Line] = []
        doubt = None
        below = next((row for row in rows if not row.is_first and row.text.strip()), None)
        for row in rows:
            text = _COMMENT.sub("", row.text).rstrip()
            if factor := _FACTOR.match(text):
                text, doubt = text[factor.end() :], Doubt("it is required in some environments only")
            if not read_requirement(text) or row.text.startswith(("#", ";")):
                continue
            if row.is_first and ";" in text:
                doubt = Doubt("`;` may begin a marker or the next requirement")
            lead = self._lead(row if below is None else below)
            place = row.start + len(row.text) - len(row.text.lstrip())
            lines.append(Line(text, self.offset(place), self.offset(row.end), lead))
        return Listed(tuple(lines), doubt)

    def _lead(self, row: _Row) -> str:
        begin = self.text.rfind("\n", 0, row.start) + 1
        return "    " if row.is_first else self.text[begin : row.start]

    def flaw(self, new: bytes, names: Names) -> str | None:
        """Read *new* and compare: nothing but the requirements of Capa and the modules of entry points may differ."""
        try:
            after = type(self)(self.path, new)
        except UnreadableError as error:
            return f"the result can no longer be read: {error}"
        same = _without_capa(self.values, names) == _without_capa(after.values, names)
        return None if same else "something but Capa's line differs"


class SetupCfg(IniFile):
    """A setup.cfg, as setuptools reads it."""

    suffixes = ("setup.cfg",)
    options = (
        ("options", "install_requires|setup_requires|tests_require"),
        (r"options\.extras_require", ".+"),
    )


class ToxIni(IniFile):
    """A tox.ini."""

    suffixes = ("tox.ini",)
    options = ((r"testenv(?::.+)?", "deps"),)


def _values(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    # configparser raises AttributeError for a line that continues an option without a value.
    except (configparser.Error, AttributeError) as error:
        line = getattr(error, "lineno", 0) or 0
        reason = str(error).splitlines()[0]
        raise UnreadableError(
            f"cannot be read: {reason}", line=line, next_step="correct it and run again"
        ) from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _without_capa(values: dict[str, dict[str, str]], names: Names) -> dict[str, dict[str, list[str]]]:
    return {
        section: {
            option: [original(line, names) for line in (value or "").splitlines() if not is_capa(line)]
            for option, value in options.items()
        }
        for section, options in values.items()
    }
