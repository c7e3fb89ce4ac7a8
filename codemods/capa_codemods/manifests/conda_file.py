"""Read a conda environment: its requirements for conda and for pip, each line with its place.

Only the plainest YAML is edited: a block list below `pip:`, one plain item a line.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from capa_codemods.manifests.lines import Doubt, Line, LineManifest, Listed, is_capa
from capa_codemods.manifests.requirement import read_requirement
from capa_codemods.project import is_conda
from capa_codemods.sdks.names import Names

_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:[ \t]*(?:#.*)?$")
_ITEM = re.compile(
    r"""(?P<indent>[ \t]*)-[ \t]+(?P<quote>["']?)(?:[\w-]+::)?(?P<text>[^"'#\r\n]*?)(?P=quote)[ \t]*(?:[ \t]\#.*)?$"""
)
_ANCHOR = re.compile(r"(?:^|[\s:\[{,])[&*][A-Za-z0-9_]", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|[ \t])#.*", re.MULTILINE)
_LONGEST_LINE = 1_000
_PIP = re.compile(r"([ \t]*)-[ \t]+pip[ \t]*:[ \t]*(?:#.*)?$")


class CondaFile(LineManifest):
    """A conda environment."""

    suffixes = (".yml", ".yaml")

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether *path* has the name of a conda environment."""
        return path.endswith(cls.suffixes) and is_conda(path)

    @cached_property
    def lists(self) -> Sequence[Listed]:
        """The dependencies, for conda and for pip, as one list: a distribution comes from one of the two."""
        lines = tuple(self._lines())
        content = _read(self.data)
        if doubt := self._doubt(content):
            return (Listed(lines, doubt),)
        hidden = tuple(self._hidden(content, lines))
        has_host = any(line.is_host for line in lines)
        return (Listed((*lines, *hidden), None if has_host else self._homeless(hidden)),)

    def _doubt(self, content: Any) -> Doubt | None:
        """Return why the lines of the file may not be those of its *content*."""
        if _ANCHOR.search(_COMMENT.sub("", self.text)):
            return Doubt("it has anchors, which are not followed")
        if importlib.util.find_spec("yaml") is None:
            return Doubt(
                "PyYAML is not installed to read it", "pip install 'capa-core[migrate]' and run again"
            )
        return Doubt("it cannot be read as YAML") if content is None else None

    def _homeless(self, hidden: Sequence[Line]) -> Doubt:
        """Return why no line can stand beside one for pip."""
        if hidden:
            return Doubt("not every item has a line of its own")
        if any(map(_PIP.match, self.text.splitlines())):
            return Doubt(
                "its list for pip has no requirement to put it beside", "add it to that list by hand"
            )
        return Doubt("it has no list for pip", "add a `pip:` list with it")

    @property
    def texts(self) -> list[str] | None:
        """All requirements, for conda and for pip; None if it cannot be read."""
        content = _read(self.data)
        return None if content is None else [item.rpartition("::")[2] for item in _required(content)]

    def _hidden(self, content: Any, lines: Sequence[Line]) -> Iterator[Line]:
        """Yield the requirements of *content* that none of *lines* has, such as items of a list in brackets."""
        seen = {read_requirement(line.text) for line in lines}
        for item in _required(content):
            text = item.rpartition("::")[2]
            if read_requirement(text) and read_requirement(text) not in seen:
                start = max(0, self.data.find(text.encode()))
                yield Line(text, start, start, is_host=False)

    def _lines(self) -> Iterator[Line]:
        at, key, pip = 0, "", None
        for line in self.text.splitlines(keepends=True):
            text, end = line.rstrip("\r\n"), at + len(line.rstrip("\r\n").encode())
            if len(text) > _LONGEST_LINE:
                text = ""  # no item that a person wrote
            if found := _KEY.match(text):
                key, pip = found[1], None
            elif found := _PIP.match(text):
                pip = len(found[1])
            elif key == "dependencies" and (found := _ITEM.match(text)):
                in_pip = pip is not None and len(found["indent"]) > pip
                pip = pip if in_pip else None
                if read_requirement(found["text"]):
                    start = at + len(text[: found.start("text")].encode())
                    yield Line(found["text"], start, end, f"{found['indent']}- ", is_host=in_pip)
            at += len(line.encode())

    def flaw(self, new: bytes, names: Names) -> str | None:  # noqa: ARG002
        """Read *new* and compare: nothing but the requirements of Capa may differ."""
        before, after = _read(self.data), _read(new)
        if before is None or after is None:
            return "the result is no longer YAML"
        return None if _without_capa(before) == _without_capa(after) else "something but Capa's line differs"


def _read(data: bytes) -> Any:
    """Return the content of the YAML *data*; None if it is no YAML, or no reader for it is installed."""
    try:
        import yaml
    except ModuleNotFoundError:
        return None
    try:
        return yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _required(content: Any) -> Iterator[str]:
    return _items(content.get("dependencies") if isinstance(content, dict) else None)


def _items(listed: Any) -> Iterator[str]:
    """Yield the texts in a list of dependencies, those for pip too."""
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from _items(item.get("pip"))


def _without_capa(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_capa(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_capa(item) for item in value if not (isinstance(item, str) and is_capa(item))]
    return value
