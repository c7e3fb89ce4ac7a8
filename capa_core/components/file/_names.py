"""Names on the disk for the keys of files: each key has one path, and each path at most one key.

A part of a key, between two `/`, is a name. What a name cannot be is written with `%`:

    100%        100%25          a control character    %0A
    .  ..       %2E  %2E%2E     .capa-…                %2Ecapa-…
    (empty)     %               a long part            <200 bytes>%~/<the rest>

A file beside a folder of its own name is named `<name>%`.
"""

from __future__ import annotations

import re
from enum import Enum, auto

RESERVED = ".capa-"
"""The beginning of the names of the component's own files."""
TEMPORARY = f"{RESERVED}tmp"
"""The folder of files that are being written."""
SIDECAR = f"{RESERVED}meta-"
"""The beginning of the name of a file with metadata; the name of the content follows."""
BESIDE = "%"
"""The end of the name of a file beside a folder."""

_CONTINUED = "%~"
_LONGEST_BYTES = 200
_ESCAPED = re.compile(r"[%\x00-\x1f\x7f]")
_UNESCAPED = re.compile(r"%([0-9A-F]{2})")


class Kind(Enum):
    """The kinds of things that have a name."""

    PLAIN = auto()
    BESIDE = auto()
    CONTINUED = auto()


def path_of(key: str) -> tuple[str, ...]:
    """Return the names that lead to the file of *key*; the last one is its own."""
    return tuple(name for part in key.split("/") for name in names_of(part))


def names_of(part: str) -> tuple[str, ...]:
    """Return the names that lead to a part of a key: one, or several if it is long."""
    pieces = [""]
    size = 0
    for character in part:
        escaped = _ESCAPED.sub(_hex, character)
        size += len(escaped.encode())
        if size > _LONGEST_BYTES:
            pieces.append("")
            size = len(escaped.encode())
        pieces[-1] += escaped
    *first, last = map(_allowed, pieces)
    return (*(name + _CONTINUED for name in first), last or "%")


def read_name(name: str) -> tuple[str, Kind] | None:
    """Return the text that *name* stands for, and its kind; `None` if it is not such a name."""
    if name.startswith(RESERVED):
        return None
    if name == "%":
        return "", Kind.PLAIN
    kind, stem = Kind.PLAIN, name
    if name.endswith(_CONTINUED):
        kind, stem = Kind.CONTINUED, name.removesuffix(_CONTINUED)
    elif name.endswith(BESIDE):
        kind, stem = Kind.BESIDE, name.removesuffix(BESIDE)
    text = "" if stem == "%" else _UNESCAPED.sub(lambda found: chr(int(found.group(1), 16)), stem)
    return text, kind


def _allowed(name: str) -> str:
    if name in (".", ".."):
        return name.replace(".", "%2E")
    return f"%2E{name[1:]}" if name.startswith(RESERVED) else name


def _hex(found: re.Match[str]) -> str:
    return f"%{ord(found.group()):02X}"
