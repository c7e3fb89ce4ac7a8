"""Names and values of SSM parameters: a level of the path for each name of a scope, and a text for each value."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from capa_core.blocks.configuration.driver import Scope
from capa_core.blocks.configuration.formats import suffix_of
from capa_core.errors import InvalidArgumentError

MARK = "-writing"
"""The level of the parameter that says that a group is being written: no encoded name begins with `-w`."""
LONGEST_NAME = 1011
_APPLICATIONS = "applications"
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_ESCAPED = re.compile(r"-x([0-9A-F]{2})")
_ENCODED = "capa:"
"""The beginning of a value that SSM would refuse, written as JSON text."""


@dataclass(frozen=True, slots=True)
class Place:
    """The parameters of one scope: one of this name for a document, else those directly below it."""

    scope: Scope
    path: str

    @property
    def is_document(self) -> bool:
        """Whether the scope is one parameter."""
        return is_document(self.scope.group)

    @property
    def mark(self) -> str:
        """The name of the parameter that is there while the scope is being written."""
        return f"{self.path}/{MARK}"

    def name(self, key: str) -> str:
        """Return the name of the parameter of *key*.

        Raises:
            InvalidArgumentError: It is too long for SSM.
        """
        return _fitting(f"{self.path}/{encoded(key)}", f"key {key!r} of group {self.scope}")


def is_document(group: str) -> bool:
    """Return whether *group* is one text: its name has the suffix of a format."""
    return bool(suffix_of(group))


def place_of(scope: Scope, prefix: str) -> Place:
    """Return the place of *scope* below *prefix*, which ends in `/`.

    Raises:
        InvalidArgumentError: Its names are too long for SSM.
    """
    group = encoded(scope.group)
    if group == _APPLICATIONS:
        group = _escaped(group[0]) + group[1:]
    levels = [_APPLICATIONS, encoded(scope.application)] if scope.application else []
    levels += [group, encoded(scope.label)] if scope.label else [group]
    return Place(scope, _fitting(prefix + "/".join(levels), f"group {scope}"))


def scope_of(levels: Sequence[str]) -> Scope | None:
    """Return the scope of a parameter with these *levels* below the prefix; `None` for one of another program."""
    names = [decoded(level) for level in levels]
    application = ""
    if levels and levels[0] == _APPLICATIONS:
        if len(levels) < 3:
            return None
        application, names = names[1], names[2:]
    if not names:
        return None
    of_group = names if is_document(names[0]) else names[:-1]
    if len(of_group) not in (1, 2):
        return None
    return Scope(application, of_group[0], of_group[1] if len(of_group) == 2 else "")


def encoded(name: str) -> str:
    """Return *name* in the characters that SSM takes: another one is `-x` with the hexadecimal number of each byte."""
    if _PLAIN.fullmatch(name) and not name.startswith("-") and not _ESCAPED.search(name):
        return name
    return "".join(one if _PLAIN.fullmatch(one) and one != "-" else _escaped(one) for one in name)


def decoded(level: str) -> str:
    """Return the name that `encoded` gives as *level*; a level that it does not give is its own name."""
    if not _ESCAPED.search(level):
        return level
    try:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), level).encode("latin-1").decode()
    except UnicodeError:
        return level


def stored(value: str) -> str:
    """Return *value* as SSM takes it: neither empty, nor with `{{`, which stands for another parameter there."""
    if value and "{{" not in value and not value.startswith(_ENCODED):
        return value
    return _ENCODED + json.dumps(value, ensure_ascii=False).replace("{", "\\u007b")


def read(text: str) -> str:
    """Return the value that `stored` gives as *text*; other text is a value itself."""
    if not text.startswith(_ENCODED):
        return text
    try:
        value = json.loads(text[len(_ENCODED) :])
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _escaped(character: str) -> str:
    return "".join(f"-x{byte:02X}" for byte in character.encode())


def _fitting(name: str, thing: str) -> str:
    if len(name) > LONGEST_NAME:
        raise InvalidArgumentError(
            f"{thing} would be a parameter of {len(name):,} characters, and SSM takes {LONGEST_NAME:,}. Shorten its"
            " names; characters other than letters, digits, `_`, `.` and `-` take four for each byte."
        )
    return name
