"""Calls that patch or import what an expression gives: in a file with one, a bare word may be the name of a module.

patch(TARGET)      import_module(f"{MODULE}.exceptions")      patch("requests" + ".get")      sys.modules[MODULE]
"""

from __future__ import annotations

import re
from functools import lru_cache

from capa_codemods.sdks.word_search import search_for

_CALLEES = (
    *(b"patch", b"multiple", b".setattr", b".delattr", b"import_module", b"__import__", b"importorskip"),
    *(b"find_spec", b"import_string", b"symbol_by_name"),
)
_TABLE = b"sys.modules"
_may_pass_on = search_for([*_CALLEES, _TABLE])
_holds = {word: search_for([word]) for word in (*_CALLEES, _TABLE)}
_NO_LITERAL = rb"(?![rRuU]?[\"'])[^\W\d]"
_LITERAL = rb"[rRuU]?(?:\"[^\"\r\n]*\"|'[^'\r\n]*')"
_GIVEN = re.compile(
    rb"\s*\([\s(]*(?:\w+\s*=\s*)?[\s(]*(?:" + _NO_LITERAL
    # A text that goes on behind the literal with which it begins, and a package to which a relative name is added.
    + rb"|" + _LITERAL + rb"\s*(?:[+%]|\.\s*(?:format|join)\b|[fF][\"'])"
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
_GOES_ON = re.compile(rb"[^\"'\r\n]*[\"']+\s*(?:[+%]|\.\s*format\b|[fF][\"'])")
# An argument of a call, whose function another file may define.
_ARGUMENT = re.compile(rb"\w\((?:[^()\[\]{}\r\n]*[,=(])?[ \t]*[rRuU]?[\"']\Z")
_WINDOW = 40
_LETTER = re.compile(rb"\w")


@lru_cache(maxsize=1)  # asked for each word of a file
def passes_on(data: bytes) -> bool:
    """Return whether *data* holds a call that patches or imports what an expression gives, rather than a literal."""
    if not _may_pass_on(data):
        return False
    return any(_is_behind(word, _GIVEN, data) for word in _CALLEES) or _is_behind(_TABLE, _KEY, data)


def _is_behind(word: bytes, pattern: re.Pattern[bytes], data: bytes) -> bool:
    """Return whether *pattern* matches behind *word*, as a whole word, somewhere in *data*."""
    # A search for fixed bytes is many times as fast as one for a pattern, and that by the C library as `find` again.
    place = data.find(word) if _holds[word](data) else -1
    while place >= 0:
        end = place + len(word)
        is_whole = word.startswith(b".") or not _LETTER.match(data, place - 1) or not place
        if is_whole and pattern.match(data, end):
            return True
        place = data.find(word, end)
    return False


def is_held(data: bytes, start: int) -> bool:
    """Return whether a name is given the literal in *data* whose text begins at *start*."""
    line = data.rfind(b"\n", 0, start) + 1
    if not _ASSIGNED.match(data, line, start):
        return False
    return not (_OPEN.search(data, line, start) and _IN_CALL.match(data, start))


def is_row(data: bytes, start: int) -> bool:
    """Return whether the literal in *data* whose text begins at *start* is the first in its line, as in a table."""
    return _ROW.match(data, data.rfind(b"\n", 0, start) + 1, start) is not None


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
    return passes_on(data) or is_held(data, start) or is_row(data, start) or begins_text(data, start)
