"""The one command that an `ENTRYPOINT` and the `CMD` with its arguments make, in the stages of a Dockerfile.

    ENTRYPOINT ["celery"]
    CMD ["-A", "shop", "worker"]      →   CMD ["celery", "-A", "shop", "worker"]

Docker joins them where both are lists of words. The last of each in a stage counts, and a stage that is built on
another has its `ENTRYPOINT`. They are joined here only where the first names a program of an SDK: behind any other,
such as a script that ends in `exec "$@"`, the words of `CMD` are the command.
https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_INSTRUCTION = re.compile(r"\s*(FROM|ENTRYPOINT|CMD)\s+(.*)", re.IGNORECASE | re.DOTALL)
_FROM = re.compile(r"(?:--\S+\s+)*(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)


class Row(NamedTuple):
    """One instruction, its continuation lines joined, and the number of its first line."""

    line: int
    text: str


class _Found(NamedTuple):
    """The `ENTRYPOINT` or `CMD` that counts: its place among the rows, and its words; None for a text for a shell."""

    at: int
    words: list[str] | None


class _Stage(NamedTuple):
    name: str = ""
    entrypoint: _Found | None = None
    arguments: _Found | None = None


def joined(rows: Iterable[Row], programs: frozenset[str]) -> Iterator[Row]:
    """Yield *rows* with each `ENTRYPOINT` that names one of *programs* in the `CMD` with its arguments."""
    listed = list(rows)
    replaced: dict[int, str] = {}
    for stage in _stages(listed):
        first, rest = stage.entrypoint, stage.arguments
        if first and rest and first.words and rest.words and _names(first.words, programs):
            replaced[first.at] = ""
            replaced[rest.at] = f"CMD {json.dumps([*first.words, *rest.words])}"
    for at, row in enumerate(listed):
        if text := replaced.get(at, row.text):
            yield row._replace(text=text)


def _stages(rows: list[Row]) -> Iterator[_Stage]:
    """Yield each stage, with the `ENTRYPOINT` of the one that it is built on where it has none."""
    known: dict[str, _Stage] = {}
    stage = _Stage()
    for at, row in enumerate(rows):
        found = _INSTRUCTION.match(row.text)
        if found is None:
            continue
        if found[1].upper() == "FROM":
            yield stage
            known[stage.name] = stage
            begins = _FROM.match(found[2])
            base = known.get(begins["base"].lower(), _Stage()) if begins else _Stage()
            name = (begins["name"] or "") if begins else ""
            # Its `CMD` makes a command with the `ENTRYPOINT` there already.
            stage = _Stage(name.lower(), base.entrypoint)
        elif found[1].upper() == "ENTRYPOINT":
            stage = stage._replace(entrypoint=_Found(at, _words(found[2])))
        else:
            stage = stage._replace(arguments=_Found(at, _words(found[2])))
    yield stage


def _words(text: str) -> list[str] | None:
    try:
        words = json.loads(text)
    except ValueError:
        return None
    is_list = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if is_list else None


def _names(words: list[str], programs: frozenset[str]) -> bool:
    return any(word.rpartition("/")[2] in programs for word in words)
