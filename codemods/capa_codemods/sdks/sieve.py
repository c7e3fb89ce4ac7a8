"""A filter that finds from the bytes alone whether a file can concern the rules, so that few files are parsed.

A file passes if it has the name of a root where an import statement or a string could name it. That is never
missed. A comment or a docstring that looks the same passes too; the syntax tree distinguishes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from capa_codemods.sdks.callees import MODULES, OBJECTS, WRAPPERS
from capa_codemods.sdks.passed_on import (
    begins_text,
    is_among_others,
    is_argument,
    is_held,
    is_row,
    passes_on,
    sees_imports,
    written_in_parts,
)
from capa_codemods.sdks.spellings import Spellings
from capa_codemods.sdks.word_search import search_for

_GAP = rb"(?:[ \t\f]|\\\r?\n?)"
# The text between the beginning of a line, with the lines that it continues, and the name. A word that this Python does
# not know may be before or behind `import` and `from`: `lazy import`. Whether it is Python at all, the parser decides.
_BEGIN = rb"(?:^|[;:\r]|\xef\xbb\xbf)" + _GAP + rb"*(?:\w+" + _GAP + rb"+)?"
_FROM = re.compile(_BEGIN + rb"from" + _GAP + rb"+(?:\w+" + _GAP + rb"+)?\Z")
_IMPORT = re.compile(_BEGIN + rb"import" + _GAP + rb"+(?:[^;#\r]*[, \t\f\\\r\n])?\Z")
# Calls and keys that make a bare name in quotes more than a word; see the rule for strings.
_ASKED = re.compile(
    rb"(?:getLogger|get_logger|get_task_logger|get|modules\.(?:pop|setdefault)|modules|multiple|"
    + "|".join((*MODULES, *OBJECTS, *WRAPPERS)).encode()
    + rb")\s*[(\[](?:\s|#[^\n]*\n)*(?:\w+\s*=\s*)?[rRuU]?[\"']+\Z"
    rb"|(?:(?:set|del)item\s*\(\s*sys\.modules\s*,\s*|import_module\s*\([^()]*,\s*|\bpackage\s*=\s*|(?i:lazy[._]?(?:load|import|module))\w*\s*\([^\n]*)"
    rb"[rRuU]?[\"']+\Z"
)
_KEYWORD = re.compile(rb"sys\.modules[\"']?\s*(?:,|\.update\b|\|=)(?:[^;]*[(,])?\s*\Z")
_LETTERS = frozenset(
    bytes([letter]) for letter in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
)
_WINDOW = 400
_LONGEST_CALLEE = 64
_REACH = 4_000


class Sieve:
    """A filter for the files that may concern the SDKs with these roots."""

    def __init__(self, roots: Iterable[str]) -> None:
        """Look for *roots*."""
        self._roots = frozenset(root.encode() for root in roots)
        # "boto3" need not be looked for where "boto" is: fewer passes over every file of the tree.
        self._literals = tuple(
            root for root in self._roots if not any(other != root and other in root for other in self._roots)
        )
        self._search = search_for(self._literals)
        self._asked, self._answer = b"", False
        self._read = b""
        self._found: tuple[list[int], list[int]] = ([], [])
        self._spellings = Spellings(self._roots)
        self._searches = [(literal, search_for([literal])) for literal in self._literals]

    def names(self, data: bytes) -> bool:
        """Return whether *data* holds the name of a root anywhere."""
        # The same file is often checked for several kinds, one after the other.
        if data is not self._asked:
            self._asked, self._answer = data, self._search(data)
        return self._answer

    def imports_or_quotes(self, data: bytes) -> bool:
        """Return whether *data* may import a root, or name it in a string that matters."""
        return self.names(data) and any(self._uses(data))

    def spells_in_parts(self, data: bytes) -> bool:
        """Return whether *data*, which holds no root as a whole word, may put one together to patch or to import it."""
        return next(self._spellings.places(data), None) is not None

    def imported(self, data: bytes) -> list[int]:
        """Return where *data* may name a root in an import statement, in order."""
        return list(self._uses(data)[0])

    def quoted(self, data: bytes) -> list[int]:
        """Return where *data* names a root in a string that matters, in order."""
        return list(self._uses(data)[1])

    def is_shared(self, data: bytes) -> bool:
        """Return whether other files may get a string of *data* that names a root, by a name or as an argument."""
        return self.names(data) and any(
            is_held(data, one) or is_row(data, one) or is_argument(data, one) for one in self.quoted(data)
        )

    def _uses(self, data: bytes) -> tuple[list[int], list[int]]:
        """Return where *data* may import a root, and where it names one in a string that matters."""
        if data is not self._read:  # each rule asks again
            places = sorted(self._places(data))
            imported = [start for start, _ in places if _is_imported(data, start)]
            quoted = {one for one, end in places if _is_quoted(data, one, end)}
            quoted.update(written_in_parts(data) if places else ())
            quoted.update(self._spellings.places(data))
            self._read, self._found = data, (imported, sorted(quoted.difference(imported)))
        return self._found

    def _places(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the places of the roots as whole words."""
        for literal, holds in self._searches:
            # A search for fixed bytes is several times as fast as a pattern of alternatives, and twice that where they
            # are absent.
            start = data.find(literal) if holds(data) else -1
            while start >= 0:
                end = start + len(literal)
                while data[end : end + 1] in _LETTERS:
                    end += 1
                while data[start - 1 : start] in _LETTERS:
                    start -= 1
                if data[start:end] in self._roots:
                    yield start, end
                start = data.find(literal, end)


def _is_imported(data: bytes, start: int) -> bool:
    floor = max(0, start - _REACH)
    begin = data.rfind(b"\n", floor, start) + 1
    while begin and data.endswith((b"\\\n", b"\\\r\n"), floor, begin):
        begin = data.rfind(b"\n", floor, begin - 1) + 1
    if not begin and floor:
        return True  # such a long line is not written by hand: the parser decides
    before = data[begin:start]
    if b"import" in before:
        return _IMPORT.search(before) is not None or _FROM.search(before) is not None
    return b"from" in before and _FROM.search(before) is not None


def _imports_lazily(data: bytes) -> bool:
    """Return whether names of *data* may be imported when they are first used, from a table or by Python itself."""
    return b"__lazy_modules__" in data or (
        b"__getattr__" in data and (b"import_module" in data or b"__import__" in data)
    )


def _is_quoted(data: bytes, start: int, end: int) -> bool:
    after = data[end : end + 1]
    if data[start - 1 : start] not in {b'"', b"'"}:
        return is_among_others(data, start) or (after == b"=" and _is_key(data, start))
    if after in {b".", b":"}:
        return True
    if after not in {b'"', b"'"}:
        return is_among_others(data, start)
    beyond = data[end + 1 : end + 20].lstrip()[:1]
    # A literal joined from parts; a key of a dictionary that is put into `sys.modules`.
    if (beyond and beyond in b"'\"") or (beyond == b":" and b"sys.modules" in data):
        return True
    if _is_asked(data[max(0, start - _WINDOW) : start]) or begins_text(data, start):
        return True
    is_given = is_held(data, start) or is_argument(data, start)
    return is_given or _imports_lazily(data) or passes_on(data) or sees_imports(data)


def _is_key(data: bytes, start: int) -> bool:
    """Return whether the keyword in *data* at *start* may be a key that is put into `sys.modules`."""
    return b"sys.modules" in data and _KEYWORD.search(data, max(0, start - _WINDOW), start) is not None


def _is_asked(before: bytes) -> bool:
    if b"#" not in before:  # in a comment there may be brackets
        # The callee is on the line of the quote, or right before the last bracket.
        line, bracket = before.rfind(b"\n") + 1, max(before.rfind(b"("), before.rfind(b"["))
        before = before[line if bracket < 0 else max(0, min(line, bracket - _LONGEST_CALLEE)) :]
    return _ASKED.search(before) is not None
