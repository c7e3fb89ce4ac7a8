"""Names of roots that a file spells in parts, so that no search for the whole word finds them.

patch("re" "quests.get")      patch("req" + "uests.get")      P = "req"; patch(P + "uests.get")
patch("\\x72equests.get")      "".join(["req", "uests.get"])
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from capa_codemods.sdks.passed_on import passes_on, written_in_parts

_SHORTEST = 2
_AFTER = (b".", b":", b'"', b"'")
_BEFORE = (b'"', b"'", b"}")  # the last in an f-string
_LITERALS = re.compile(
    rb"(?:[rRuU]?(?:\"[^\"\r\n\\]*(?:\\.[^\"\r\n\\]*)*\"|'[^'\r\n\\]*(?:\\.[^'\r\n\\]*)*')\s*)+", re.DOTALL
)


class Spellings:
    """A search for *roots* that are spelt in parts."""

    def __init__(self, roots: Iterable[bytes]) -> None:
        """Look for literals that are the beginning of one of *roots*, where others begin with its rest."""
        self._roots = tuple(roots)
        self._rests: dict[bytes, list[bytes]] = {}
        for root in self._roots:
            for length in range(_SHORTEST, len(root)):
                self._rests.setdefault(root[:length], []).append(root[length:])
        beginnings = sorted(self._rests, key=len, reverse=True)
        self._beginning = re.compile(rb"[\"'](" + b"|".join(beginnings) + rb")[\"']") if beginnings else None

    def places(self, data: bytes) -> Iterator[int]:
        """Yield the places in *data*, which patches or imports what expressions give, of literals that begin a root."""
        if self._beginning is None or not passes_on(data):
            return
        yield from (one for one in written_in_parts(data) if self._begins(data, one))
        if not self._holds_beginning(data):
            return
        for found in self._beginning.finditer(data):
            if any(_holds_rest(rest, data) for rest in self._rests[found[1]]):
                yield found.start(1)

    def _holds_beginning(self, data: bytes) -> bool:
        # Cutting at each quote takes a third of the time of the pattern.
        return not self._rests.keys().isdisjoint(data.replace(b"'", b'"').split(b'"'))

    def _begins(self, data: bytes, start: int) -> bool:
        """Return whether the literals in *data*, the first of which has its text at *start*, begin a root together."""
        found = _LITERALS.match(data, start - 1)
        try:
            text = ast.literal_eval(f"({found[0].decode()})") if found else ""
        except (ValueError, SyntaxError, UnicodeDecodeError):
            return True  # the syntax tree decides
        return str(text).encode(errors="replace").startswith(self._roots)


def _holds_rest(rest: bytes, data: bytes) -> bool:
    """Return whether a literal in *data*, or the text behind a part of an f-string, begins with the name *rest*."""
    after = _AFTER if len(rest) > _SHORTEST else _AFTER[:1]  # the plural of a word says nothing
    return any(one + rest + other in data for one in _BEFORE for other in after)
