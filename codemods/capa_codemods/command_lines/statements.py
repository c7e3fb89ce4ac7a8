"""Find the pieces of a file that may be commands: a text for a shell, or the words of one command."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

from capa_codemods.command_lines import yaml_lines
from capa_codemods.command_lines.dockerfile import Row, joined
from capa_codemods.command_lines.found import PROGRAMS, Statement
from capa_codemods.command_lines.variables import with_variables

# Before the command: a list dash, a Dockerfile's or systemd's word, `command=`, the times of cron, or a key.
_LEAD = re.compile(
    r"""\s*(?:-\s+)?(?:
        (?:HEALTHCHECK\s+(?:--\S+\s+)*)?(?:CMD|ENTRYPOINT|RUN)\s+(?!=)(?:--\w+\S*\s+)*
        | Exec(?:Start|StartPre|StartPost|Stop|Reload)=[-@:+!]*
        | (?:command|cmd|attach-daemon)\s*=\s*
        | smart-attach-daemon\s*=\s*\S+\s+
        | (?:[\d*/,-]+\s+){5}
        | (?<=\t)[@+-]+
        | \w[\w.-]*(?:\s*:(?=\s|["'\[])|\s+=(?=\s))\s*
    )?""",
    re.IGNORECASE | re.VERBOSE,
)
_TEMPLATE = re.compile(r"\{\{[^{}\n]*\}\}")
# Of process managers such as supervisor: indented lines go on with the value. `commands` of tox has one in each line.
_INI = (".ini", ".conf", ".cfg")
_VALUE = re.compile(r"\s*(?:command|cmd)\s*=", re.IGNORECASE)
_INLINE_COMMENT = re.compile(r"\s[;#].*")
_DOCKERFILE = re.compile(r"ockerfile|^Containerfile")
_MAKE_VARIABLE = re.compile(r"\$\((\w+)\)")
# Keys whose texts are for people, so that words of commands in them run nothing.
PROSE = frozenset(
    {"name", "container_name", "description", "title", "summary", "help", "label", "message", "image", "hostname", "id",
     "text", "keywords", "dependencies", "value"}
)  # fmt: skip


def statements(path: str, text: str) -> Iterator[Statement]:
    """Yield the possible commands in *text*, the content of the file at *path*."""
    path = path.removesuffix(".j2").removesuffix(".tmpl")
    if path.endswith((".yml", ".yaml", ".tpl", ".config")):
        yield from yaml_lines.statements(text, PROSE)
    elif path.endswith(".toml"):
        for found in filter(lambda one: one.is_worth_reading, _in_toml(text)):
            yield found._replace(line=_line_of(text, found.text or found.words[0]))
    else:
        text = _TEMPLATE.sub(lambda found: re.sub(r"[ \t]+", "", found[0]), text)
        text = _MAKE_VARIABLE.sub(r"${\1}", text)
        yield from _in_lines(path, with_variables(path, text))


def _in_lines(path: str, text: str) -> Iterator[Statement]:
    is_docker = _DOCKERFILE.search(path.rpartition("/")[2]) is not None
    rows = _rows(text, is_docker=is_docker, is_ini=path.endswith(_INI))
    for row in joined(rows, PROGRAMS) if is_docker else rows:
        if not row.text.lstrip().startswith("#"):
            lead = _LEAD.match(row.text)
            yield Statement(row.line, row.text[lead.end() if lead else 0 :].strip())


def _rows(text: str, *, is_docker: bool, is_ini: bool) -> Iterator[Row]:
    """Yield the lines of *text*, each with those that continue it."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        first, parts = at + 1, [lines[at]]
        while parts[-1].endswith("\\") and at + 1 < len(lines):
            at += 1
            if is_docker and lines[at].lstrip().startswith("#"):
                continue  # Docker takes a comment out from between the lines; a shell ends the command there
            parts = [*parts[:-1], parts[-1][:-1], lines[at].strip()]
        at += 1
        if is_ini and _VALUE.match(parts[0]):
            at, parts = _continued(lines, at, parts)
        yield Row(first, " ".join(parts))


def _continued(lines: list[str], at: int, parts: list[str]) -> tuple[int, list[str]]:
    """Return the number of the line after the value that begins with *parts*, and the value with its indented lines."""
    indent = _indent(parts[0])
    end = at
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
    more = [line.strip() for line in lines[at:end] if not line.lstrip().startswith(("#", ";"))]
    return end, [_INLINE_COMMENT.sub("", part) for part in (*parts, *more)] if any(more) else parts


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


class _Place(NamedTuple):
    key: str
    value: Any


def _in_toml(text: str) -> Iterator[Statement]:
    try:
        queue = [_Place(key, value) for key, value in tomllib.loads(text).items()]
    except (ValueError, RecursionError):
        return
    while queue:
        place = queue.pop(0)
        if place.key in PROSE:
            continue
        if isinstance(place.value, dict):
            queue += [_Place(key, value) for key, value in place.value.items()]
        elif isinstance(place.value, str):
            yield from (Statement(0, line) for line in place.value.splitlines())
        elif isinstance(place.value, list):
            words = tuple(item for item in place.value if isinstance(item, str))
            if words and len(words) == len(place.value) and not any(" " in word for word in words):
                yield Statement(0, words=words)
            else:
                queue += [_Place(place.key, item) for item in place.value]


def _line_of(text: str, part: str) -> int:
    return text.count("\n", 0, max(0, text.find(part))) + 1
