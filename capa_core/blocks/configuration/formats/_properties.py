"""`.properties` text by the rules of `java.util.Properties.load`, edited in place.

Source: the documentation of `Properties.load(Reader)`, Java SE 21.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from capa_core.errors import SettingsError

_BLANK = " \t\f"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<one>[\s\S]))")
_BAD_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u(?![0-9a-fA-F]{4})")
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One key and value as written.

    Attributes:
        start, end: The span of its natural lines in the text, line ends included.
        head: The text from the start of the line up to the value, as written.
    """

    key: str
    value: str
    start: int
    end: int
    head: str


def parse(text: str, source: str) -> dict[str, str]:
    """Return key → value; of a repeated key, the last.

    Raises:
        SettingsError: A `\\u` escape is malformed; the message names *source* and the line.
    """
    return {entry.key: entry.value for entry in entries(text, source)}


def edit(text: str, changes: Mapping[str, str], source: str) -> str:
    """Return *text* with these values; comments, order and the spelling of everything else stay.

    A new key goes to the end; of a repeated key, the last is changed, whose value is read.
    """
    last = {entry.key: entry for entry in entries(text, source)}
    newline = next((each for each in ("\r\n", "\n", "\r") if each in text), "\n")
    for entry in sorted((last[key] for key in changes if key in last), key=lambda one: -one.start):
        written = text[entry.start : entry.end]
        line_end = written[len(written.rstrip("\r\n")) :]
        head = entry.head if entry.head.endswith(tuple(_BLANK + "=:")) else f"{entry.head}="
        text = text[: entry.start] + head + _escaped(changes[entry.key]) + line_end + text[entry.end :]
    added = [
        f"{_escaped(key, key=True)}={_escaped(changes[key])}{newline}" for key in changes if key not in last
    ]
    if added and text and not text.endswith(("\r", "\n")):
        text += newline
    if added and _ends_open(text):
        text += newline
    return text + "".join(added)


def without(text: str, keys: Collection[str], source: str) -> str:
    """Return *text* without the lines of these keys."""
    for entry in reversed([entry for entry in entries(text, source) if entry.key in keys]):
        text = text[: entry.start] + text[entry.end :]
    return text


def entries(text: str, source: str) -> Iterator[Entry]:
    """Yield each key with its value and place.

    Raises:
        SettingsError: A `\\u` escape is malformed.
    """
    for start, end in _logical_lines(text):
        whole = text[start:end]
        joined = _joined(whole)
        key_end = _key_end(joined)
        value_start = _value_start(joined, key_end)
        if _BAD_ESCAPE.search(joined):
            line = text.count("\n", 0, start) + 1
            raise SettingsError(
                f"{source}:{line}: malformed \\uxxxx escape. Write four hexadecimal digits after \\u."
            )
        yield Entry(
            key=_plain(joined[:key_end]),
            value=_plain(joined[value_start:]),
            start=start,
            end=end,
            head=whole[: len(whole) - len(whole.lstrip(_BLANK))] + joined[:value_start],
        )


def _logical_lines(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(text):
        start, end = _natural_line(text, position)
        line = text[start:end].lstrip(_BLANK)
        position = end
        if not line.rstrip("\r\n") or line[0] in "#!":
            continue
        last = start
        while _goes_on(text[last:end]) and end < len(text):
            last, end = _natural_line(text, end)
        position = end
        yield start, end


def _ends_open(text: str) -> bool:
    """Return whether the last line ends in a backslash, so that appended text would belong to it."""
    lines = list(_logical_lines(text))
    last = text[slice(*lines[-1])] if lines else ""
    return bool(lines) and lines[-1][1] == len(text) and _goes_on(_LINE.findall(last)[-2])


def _natural_line(text: str, position: int) -> tuple[int, int]:
    match = _LINE.match(text, position)
    return position, match.end() if match else len(text)


def _goes_on(line: str) -> bool:
    body = line.rstrip("\r\n")
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def _joined(whole: str) -> str:
    lines = [line.lstrip(_BLANK) for line in whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "".join(line[:-1] if _goes_on(line) else line for line in lines)


def _key_end(line: str) -> int:
    position = 0
    while position < len(line) and line[position] not in _BLANK + "=:":
        position += 2 if line[position] == "\\" else 1
    return min(position, len(line))


def _value_start(line: str, key_end: int) -> int:
    position = len(line) - len(line[key_end:].lstrip(_BLANK))
    if position < len(line) and line[position] in "=:":
        position = len(line) - len(line[position + 1 :].lstrip(_BLANK))
    return position


def _plain(written: str) -> str:
    if "\\" not in written:
        return written
    plain = _ESCAPE.sub(_unescaped, written)
    # Two escapes may be the halves of one character beyond U+FFFF, as in Java's own strings.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match["code"], 16)) if match["code"] else _LETTERS.get(match["one"], match["one"])


def _escaped(plain: str, *, key: bool = False) -> str:
    special = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
    if key:
        special |= {" ": "\\ ", "=": "\\=", ":": "\\:", "#": "\\#", "!": "\\!"}
    written = "".join(special.get(character, character) for character in plain)
    # A value that begins like this would be taken for the separator where that is a blank, as in `key value`.
    return "\\" + written if written.startswith((" ", "=", ":")) and not key else written
