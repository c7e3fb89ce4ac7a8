"""Calls that patch or import what an expression gives: in a file with one, a bare word may be the name of a module.

patch(TARGET)      import_module(f"{MODULE}.exceptions")      patch("requests" + ".get")      sys.modules[MODULE]
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from capa_codemods.sdks.callees import KINDS, METHODS, MODULES, OBJECTS, PATCHES
from capa_codemods.sdks.word_search import remembering, search_for

_CALLEES = tuple(
    f".{name}".encode() if name in METHODS else name.encode() for name in (*PATCHES, *MODULES, *OBJECTS)
)
_TABLE = b"sys.modules"
# Fewer searches: the same letters are in `patch.multiple`, and in all names that import by a function.
_BEGINNINGS = {word: b"import_" if b"import_" in word else word for word in _CALLEES if word != b"multiple"}
_may_pass_on = search_for(dict.fromkeys([*_BEGINNINGS.values(), _TABLE]))
_holds = {word: search_for([word]) for word in (*_CALLEES, _TABLE)}
_NO_LITERAL = rb"(?![rRuU]?[\"'])[^\W\d]"
_LITERAL = rb"[rRuU]?(?:\"[^\"\r\n]*\"|'[^'\r\n]*')"
_GIVEN = re.compile(
    rb"\s*\([\s(]*(?:\w+\s*=\s*)?[\s(]*(?:" + _NO_LITERAL
    # A text that goes on behind the literal with which it begins, and a package to which a relative name is added.
    + rb"|" + _LITERAL + rb"\s*(?:[+%.\[\"']|[rRuUfFbB]{1,2}[\"']|(?:if|or|and)\b)|[rRuU]?[\"'][^\"'\r\n]*\\"
    + rb"|[\"']\.[\w.]*[\"']\s*,\s*(?:package\s*=\s*)?(?!__)" + _NO_LITERAL + rb")"
)  # fmt: skip
# A key of `sys.modules`, also in a table for `patch.dict`.
_KEY = re.compile(rb"[\"']?\s*(?:\[|,|\.(?:get|pop|setdefault)\s*\()[\s{]*(?!__name__\b)" + _NO_LITERAL)
# The beginning of a line that gives a name the literal that follows.
_ASSIGNED = re.compile(rb"[ \t]*[^\W\d][\w.]*[ \t]*(?::[^=\r\n]*)?=[ \t]*[(\[{ \t]*[rRuUfF]{0,2}\"*'*\Z")
_OPEN = re.compile(rb"=[ \t]*[rRuUfF]{0,2}[\"']+\Z")
_IN_CALL = re.compile(rb"[^\"'\r\n]*[\"']+[ \t]*[,)]")
"""The end of `name="requests",`, an argument in a line of its own."""
# One that holds nothing else, with its key in a table perhaps.
_ROW = re.compile(rb"[ \t]*(?:[\w.\"']+[ \t]*:)?[(\[{ \t]*[rRuUfF]{0,2}\"*'*\Z")
# One in which the literal becomes the beginning of a text, and the end of one to which more is added.
_BEGINS = re.compile(rb"(?:%\s*\(?|\.format\(|\.join\(\s*[(\[])\s*[rRuU]?[\"']+\Z|[fF][rR]?[\"']+\Z")
_GOES_ON = re.compile(
    rb"[^\"'\r\n]*[\"']+\s*(?:[+%]|\.\s*(?:format|r?split|splitlines|[lr]?strip|replace)\b|[fF][\"'])"
)
# An argument of a call, whose function another file may define.
_ARGUMENT = re.compile(rb"\w\((?:[^()\[\]{}\r\n]*[,=(])?[ \t]*[rRuU]?[\"']\Z")
# The same of a method, which a class around may inherit.
_OF_METHOD = re.compile(rb"\b(?:self|cls)\.\w+\((?:[^()\[\]{}\r\n]*[,=(])?[ \t]*[rRuU]?[\"']\Z")
# Searched for in each file that names an SDK, so no more than the usual ones.
_USUAL = (b"patch", b".setattr", b"import_module")
_IN_PARTS = re.compile(
    rb"\s*\([\s(]*(?:\w+\s*=\s*)?[\s(]*[rRuU]?[\"']"
    rb"(?=[^\"'\r\n]*(?:\\|[\"']\s*(?:\+\s*)?[rRuUfF]{0,2}[\"']))"
)
# The text before a name in a longer literal: its quote, or other names in its line, where it has begun in another.
_AMONG = re.compile(rb"(?:[^#\r\n]*[\"'](?:[^#\r\n]*[\s,;|({\[])?|\s*(?:\w+\.[\w.]+[\s,;|]+)*)\Z")
_may_see_imports = search_for([b"__import__", b"find_spec", b"sys.modules"])
_SEES_IMPORTS = re.compile(
    rb"\bbuiltins\b[^\r\n]*__import__|\bfind_spec[\"']|def find_spec\b|\bfor\b[^\r\n]*\bsys\.modules\b"
)
_RENAMED = re.compile(
    rb"\b(?:" + "|".join(name for one in KINDS.values() for name in one).encode() + rb")\s+as\s"
)
_LONGEST_LINE = 400
_WINDOW = 40
_LETTER = re.compile(rb"\w")


@remembering
def sees_imports(data: bytes) -> bool:
    """Return whether *data* may replace what imports modules, or look through those that are loaded."""
    return _may_see_imports(data) and _SEES_IMPORTS.search(data) is not None


def is_renamed(data: bytes) -> bool:
    """Return whether *data* may import a call that patches or imports under another name."""
    return _RENAMED.search(data) is not None


@remembering
def passes_on(data: bytes) -> bool:
    """Return whether *data* holds a call that patches or imports what an expression gives, rather than a literal."""
    if not _may_pass_on(data):
        return False
    given = (found for word in _CALLEES for found in _behind(word, _GIVEN, data))
    return any(given) or any(_behind(_TABLE, _KEY, data))


def _behind(word: bytes, pattern: re.Pattern[bytes], data: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the matches of *pattern* in *data* right behind *word*, as a whole word."""
    # A search for fixed bytes is many times as fast as one for a pattern, and that by the C library as `find` again.
    place = data.find(word) if _holds[word](data) else -1
    while place >= 0:
        end = place + len(word)
        is_whole = word.startswith(b".") or not _LETTER.match(data, place - 1) or not place
        if is_whole and (found := pattern.match(data, end)):
            yield found
        place = data.find(word, end)


def is_held(data: bytes, start: int) -> bool:
    """Return whether a name is given the literal in *data* whose text begins at *start*."""
    line = data.rfind(b"\n", 0, start) + 1
    if not _ASSIGNED.match(data, line, start):
        return False
    return not (_OPEN.search(data, line, start) and _IN_CALL.match(data, start))


def is_row(data: bytes, start: int) -> bool:
    """Return whether the literal in *data* whose text begins at *start* is the first in its line, as in a table."""
    return _ROW.match(data, data.rfind(b"\n", 0, start) + 1, start) is not None


def written_in_parts(data: bytes) -> Iterator[int]:
    """Return where arguments of *data* begin that get patched or imported, and are literals with parts or escapes."""
    return (found.end() for word in _USUAL for found in _behind(word, _IN_PARTS, data))


def is_among_others(data: bytes, start: int) -> bool:
    """Return whether the word in *data* at *start*, of a longer literal perhaps, may get patched or imported."""
    floor = max(0, start - _LONGEST_LINE)
    line = max(floor, data.rfind(b"\n", floor, start) + 1)
    return _AMONG.match(data, line, start) is not None and passes_on(data)


def begins_text(data: bytes, start: int) -> bool:
    """Return whether more is added right here to the literal in *data* whose text begins at *start*."""
    return (
        _GOES_ON.match(data, start) is not None
        or _BEGINS.search(data, max(0, start - _WINDOW), start) is not None
    )


def is_argument(data: bytes, start: int) -> bool:
    """Return whether the literal in *data* whose text begins at *start* is passed to a function, as its line shows."""
    return _ARGUMENT.search(data, max(0, start - 2 * _WINDOW), start) is not None


def may_be_followed(data: bytes, start: int) -> bool:
    """Return whether the literal in *data* whose text begins at *start* may reach other code than its own line."""
    is_kept = passes_on(data) or is_held(data, start) or is_row(data, start) or begins_text(data, start)
    return is_kept or _OF_METHOD.search(data, max(0, start - 2 * _WINDOW), start) is not None
