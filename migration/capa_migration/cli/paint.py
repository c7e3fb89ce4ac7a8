"""Terminal colours for diffs, for lines that begin with a place, and for places under the name of their file."""

from __future__ import annotations

import re

_BOLD, _RED, _GREEN, _YELLOW, _CYAN = b"1", b"31", b"32", b"33", b"36"
_DIFF = ((b"---", _BOLD), (b"+++", _BOLD), (b"@@", _CYAN), (b"-", _RED), (b"+", _GREEN))
_PLACE = re.compile(r"^(\S[^:\n]*:(?:\d+:)?)( (?:failed|warning|note):)?")
_FILE = re.compile(r"^\S[^\n]*:(?=\n)")
_STATE = re.compile(r"^( {2} *\d* {2})((?:moved, )?(full|partial|none)|uncertain|failed)(?= )")
_LEVELS = {" failed:": _RED, " warning:": _YELLOW, " note:": _CYAN}

_STATES = {"full": _GREEN, "partial": _YELLOW, "uncertain": _YELLOW}


def painted(piece: str | bytes) -> str | bytes:
    """Return *piece* in colour: bytes are a diff, text is a line that may begin with a place."""
    if isinstance(piece, bytes):
        return painted_diff(piece)
    if found := _FILE.match(piece):
        return _in(_BOLD, found[0]) + piece[found.end() :]
    return _PLACE.sub(_painted_place, _STATE.sub(_painted_state, piece))


def painted_diff(text: bytes) -> bytes:
    """Return a unified diff with its lines in the usual colours."""
    return b"".join(_painted_line(line) for line in text.splitlines(keepends=True))


def _painted_place(found: re.Match[str]) -> str:
    place, level = found.groups(default="")
    return _in(_BOLD, place) + (_in(_LEVELS[level], level) if level else "")


def _painted_state(found: re.Match[str]) -> str:
    return found[1] + _in(_STATES.get(found[3] or found[2], _RED), found[2])


def _painted_line(line: bytes) -> bytes:
    body = line.rstrip(b"\r\n")
    for start, code in _DIFF:
        if line.startswith(start):
            return b"\x1b[" + code + b"m" + body + b"\x1b[0m" + line[len(body) :]
    return line


def _in(code: bytes, text: str) -> str:
    return f"\x1b[{code.decode()}m{text}\x1b[0m"
