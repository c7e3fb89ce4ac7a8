"""Topics and messages as text and as data. Control characters of a message never reach the terminal."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from capa_migration.rewrite.formats._columns import columns

if TYPE_CHECKING:
    from capa_core.blocks.pubsub import DeadLetter, PeekedMessage
    from capa_migration.live.queues import Survey, Topic

_HEAD = ["topic", "group", "depth", "in flight", "oldest", "consumers", "dead letters"]
_HEX_BYTES = 32


def shown(text: str) -> str:
    """Return *text* on one line, with an escape for each character that is not printable."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def print_line(text: str) -> None:
    """Print *text* on one line."""
    print(shown(text))


def print_topics(found: Survey) -> None:
    """Print a table with a row for each group, and one for a topic without any."""
    for line in topic_lines(found):
        print(line)


def topic_lines(found: Survey) -> Iterator[str]:
    """Yield the lines of the table, in colour at a terminal: the head bold, groups with dead letters red."""
    rows = [row for topic in found.topics for row in _rows(topic)]
    if rows:
        yield from _painted(rows, list(_aligned(rows)))
    elif not found.unread:
        yield f"no topics in component {shown(found.component)}"
    for name, error in found.unread.items():
        yield f"topic {shown(name)} cannot be read: {shown(error)}"
    if not found.complete:
        yield f"… and more: these are {len(found.topics)} topics; name some, or use --most"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield lines with names to the left and numbers to the right."""
    names = list(columns(_HEAD[:2], [row[:2] for row in rows], right=False))
    width = max(map(len, names))
    numbers = columns(_HEAD[2:], [row[2:] for row in rows])
    first = max(len(row[2]) for row in [_HEAD, *rows])
    for name, line in zip(names, numbers, strict=True):
        cell, rest = line[:first].strip(), line[first:]
        yield f"{name.ljust(width)}  {cell.rjust(first)}{rest}"


def _painted(rows: Sequence[Sequence[str]], lines: Sequence[str]) -> Iterator[str]:
    from capa_migration.cli.terminal import has_colour

    if not has_colour(sys.stdout):
        yield from lines
        return
    yield f"\x1b[1m{lines[0]}\x1b[0m"
    for row, line in zip(rows, lines[1:], strict=True):
        yield line if row[6] in ("", "0") else f"\x1b[31m{line}\x1b[0m"


def _rows(topic: Topic) -> Iterator[list[str]]:
    status = topic.status
    dead = f"{topic.dead:,}"
    if not status.groups or status.kept:
        yield [
            shown(status.name),
            "(none yet)",
            f"{status.kept:,}",
            "0",
            _age(status.oldest_s),
            "-",
            "" if status.groups else dead,
        ]
    for at, group in enumerate(status.groups):
        yield [
            shown(status.name),
            shown(group.name) + (" (temporary)" if group.temporary else ""),
            f"{group.depth:,}",
            f"{group.in_flight:,}",
            _age(group.oldest_s),
            "-" if group.consumers is None else f"{group.consumers:,}",
            "" if at else dead,
        ]


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def print_messages(texts: Sequence[Iterable[str]], after: str) -> None:
    """Print each message as a paragraph; *after* is the position before the next page, `""` if there is none."""
    if not texts:
        print("no messages")
    for at, lines in enumerate(texts):
        if at:
            print()
        for line in lines:
            print(line)
    if after:
        print(f"\nMore may follow: --after {shown(after)}")


def message_lines(message: PeekedMessage, most: int) -> Iterator[str]:
    """Yield a message as lines: its metadata, its attributes, and at most *most* bytes of its body."""
    about = [
        message.state.value,
        f"published {_age(max(0.0, time.time() - message.published_at))} ago",
        f"delivered {counted(message.delivery_count, 'time')}",
        message.content_type,
        *([f"key {message.key}"] if message.key else []),
        *([f"priority {message.priority}"] if message.priority else []),
    ]
    yield shown(f"{message.id}  {', '.join(about)}")
    for name, value in message.attributes.items():
        yield shown(f"  {name}: {_cut(value)}")
    yield f"  {body_text(message, most)}"


def letter_lines(letter: DeadLetter, most: int) -> Iterator[str]:
    """Yield a dead letter as lines: its reason, then its message."""
    deliveries = f"{letter.deliveries:,} deliver{'y' if letter.deliveries == 1 else 'ies'}"
    reason = letter.reason or "no reason was recorded"
    yield shown(f"{letter.id}  died in group {letter.group} after {deliveries}: {reason}")
    first, *rest = message_lines(letter.message, most)
    yield f"  {first}"
    yield from rest


def body_text(message: PeekedMessage, most: int) -> str:
    """Return the body on one line: text with escapes, or its first bytes in hex, and the number of bytes left out."""
    if not message.size:
        return "(empty)"
    text = _text(message.data, most, whole=len(message.data) == message.size)
    if text is None:
        head = message.data[: min(most, _HEX_BYTES)]
        return f"{head.hex(' ')}{_left_out(message.size - len(head))} ({message.size:,} bytes, binary)"
    return shown(text) + _left_out(message.size - len(text.encode()))


def _text(data: bytes, most: int, *, whole: bool) -> str | None:
    """Return the text of the first *most* bytes of *data*, or `None` if they are not text."""
    cut = data[:most]
    end = len(cut)
    is_all = whole and len(data) <= most
    for back in range(1 if is_all else 4):  # the cut may have split a character
        try:
            text = cut[: end - back].decode()
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def _left_out(count: int) -> str:
    return f" … and {count:,} bytes more" if count > 0 else ""


def _cut(text: str, most: int = 400) -> str:
    return text if len(text) <= most else f"{text[:most]} … and {len(text) - most:,} characters more"


def message_data(message: PeekedMessage) -> dict[str, Any]:
    """Return a message as data for JSON: the body as text where it is UTF-8, else in Base64."""
    data = {**asdict(message), "attributes": dict(message.attributes), "state": message.state.value}
    body = data.pop("data")
    text = _text(body, len(body), whole=len(body) == message.size)
    if text is None:
        return {**data, "data_base64": base64.b64encode(body).decode()}
    return {**data, "data": text}


def letter_data(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as data for JSON."""
    return {
        "id": letter.id,
        "topic": letter.topic,
        "group": letter.group,
        "deliveries": letter.deliveries,
        "reason": letter.reason,
        "message": message_data(letter.message),
    }


def counted(count: int, noun: str) -> str:
    """Return *count* with *noun*, in the plural unless it is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
