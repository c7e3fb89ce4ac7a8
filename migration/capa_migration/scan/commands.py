"""Find the commands that start Celery, where containers, process managers and shells keep them.

Only in command position, behind the wrappers that are usual there: `airflow celery worker` and `manage.py celery` are
other commands, and prose is none. Nothing is changed: the same command starts the migrated application.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

SUBCOMMANDS = frozenset(
    {
        *(
            "worker",
            "beat",
            "multi",
            "events",
            "flower",
            "inspect",
            "control",
            "status",
            "purge",
            "call",
            "result",
        ),
        *("shell", "upgrade", "migrate", "list", "logtool", "graph", "amqp", "report"),
    }
)

_NAMES = re.compile(
    r"(?:^|/)(?:Dockerfile[^/]*|[^/]*\.[Dd]ockerfile|Containerfile|Procfile[^/]*|Makefile|GNUmakefile|[^/]*\.mk"
    r"|[^/]*\.(?:sh|bash|service|ya?ml|conf|ini|toml))$"
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
# What stands before the command: a list dash, a Dockerfile's or systemd's word, `command=`, or a key of YAML.
_LEAD = re.compile(
    r"""\s*(?:-\s+)?(?:
        (?:CMD|ENTRYPOINT|RUN)\s+(?:--\w+\S*\s+)*
        | Exec(?:Start|StartPre|Reload)=[-@:+!]*
        | command\s*=\s*
        | \w[\w.-]*\s*[:=](?=\s|["'\[])\s*
    )?""",
    re.IGNORECASE | re.VERBOSE,
)

# A wrapper → how many words of its own follow, its options aside.
_WRAPPERS = {
    **dict.fromkeys(
        ("exec", "nohup", "time", "command", "tini", "dumb-init", "ddtrace-run", "env", "sudo", "nice"), 0
    ),
    **dict.fromkeys(
        ("then", "do", "else", "opentelemetry-instrument", "stdbuf", "ionice", "setsid", "xvfb-run"), 0
    ),
    **dict.fromkeys(("gosu", "su-exec", "newrelic-admin", "timeout", "chpst"), 1),
    **dict.fromkeys(("poetry", "pipenv", "uv", "pdm", "hatch", "rye", "pixi"), 1),
}
_WITH_VALUE = frozenset({"-u", "-n", "-g", "-s", "-k", "--user", "--signal"})


class Command(NamedTuple):
    """One command that starts Celery.

    Attributes:
        subcommand: `worker`, `beat`, …; empty if only options are given.
        application: What `-A` names; empty if nothing does.
        text: The command as it is written, less its wrappers.
    """

    path: str
    line: int
    subcommand: str
    application: str
    text: str


def may_hold_commands(path: str) -> bool:
    """Say by its name whether commands may stand in the file at *path*."""
    return _NAMES.search(path) is not None


def commands(path: str, text: str) -> Iterator[Command]:
    """Yield the commands in *text*, the content of the file at *path*, that start Celery."""
    if "celery" not in text:
        return
    for line, logical in _logical_lines(text):
        for words in _candidates(logical):
            stripped = _unwrapped(words)
            if stripped and (found := _celery(stripped)) is not None:
                yield Command(path, line, *found, shlex.join(stripped))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with what continues them; the items of a YAML list of words are one line."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        first, parts = at + 1, [lines[at]]
        while parts[-1].endswith("\\") and at + 1 < len(lines):
            at += 1
            parts = [*parts[:-1], parts[-1][:-1], lines[at].strip()]
        joined = " ".join(parts)
        if re.match(r"\s*(?:-\s+)?(?:command|entrypoint|args)\s*:\s*$", joined):
            items, at = _items(lines, at)
            joined = f"command: {shlex.join(items)}" if items else joined
        at += 1
        if not joined.lstrip().startswith("#"):
            yield first, joined


def _items(lines: list[str], at: int) -> tuple[list[str], int]:
    """Return the items of the YAML list that follows line *at*, and the number of its last line."""
    items = []
    while at + 1 < len(lines) and (found := re.match(r"\s*-\s+(.*?)\s*$", lines[at + 1])):
        items.append(found[1].strip("\"'"))
        at += 1
    return items, at


def _candidates(line: str) -> Iterator[list[str]]:
    """Yield the words of each simple command in *line*."""
    lead = _LEAD.match(line)
    rest = line[lead.end() if lead else 0 :].strip()
    if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'" and rest.count(rest[0]) == 2:
        rest = rest[1:-1]  # a text in quotes, as YAML has it
    if rest.startswith("["):
        try:
            words = json.loads(rest.rstrip(",").replace("'", '"'))
        except ValueError:
            return
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            yield from _split(words)
        return
    lexer = shlex.shlex(rest.lstrip("@-"), posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quote that does not end: prose, or a piece of a longer text
        return
    yield from _split([part for word in words for part in ([word] if word.strip(";&|()") else [";"])])


def _split(words: list[str]) -> Iterator[list[str]]:
    """Yield the parts of *words* between separators, and of what a shell is given to run."""
    part: list[str] = []
    for word in [*words, ";"]:
        if word == ";":
            if len(part) > 2 and re.search(r"(?:^|/)(?:ba|da|z|a)?sh$", part[0]) and part[1].endswith("c"):
                yield from _candidates(part[2])
            elif part:
                yield part
            part = []
        else:
            part.append(word)


def _unwrapped(words: list[str]) -> list[str]:
    """Return *words* without assignments and wrappers before the command proper."""
    while words:
        word = words[0].rpartition("/")[2]
        if _ASSIGNMENT.match(words[0]):
            words = words[1:]
        elif word in _WRAPPERS:
            words = _without_options(words[1:], own=_WRAPPERS[word])
        elif re.fullmatch(r"python[\d.]*", word) and "-m" in words[1:4]:
            words = words[words.index("-m") + 1 :]
        else:
            return words
    return words


def _without_options(words: list[str], *, own: int) -> list[str]:
    while words and (words[0].startswith("-") or own):
        if words[0] == "--":
            return words[1:]
        if words[0].startswith("-"):
            words = words[2:] if words[0] in _WITH_VALUE else words[1:]
        else:
            words, own = words[1:], own - 1
    return words


def _celery(words: list[str]) -> tuple[str, str] | None:
    """Return the sub-command and the application if *words* start Celery."""
    if words[0].rpartition("/")[2] != "celery":
        return None
    application = ""
    for at, word in enumerate(words[1:], 1):
        if word in {"-A", "--app"} and at + 1 < len(words):
            application = words[at + 1]
        elif word.startswith(("--app=", "-A")):
            application = word.removeprefix("--app=").removeprefix("-A")
    subcommand = next((word for word in words[1:] if word in SUBCOMMANDS), "")
    is_started = bool(subcommand or application or {"--version", "--help"}.intersection(words))
    return (subcommand, application) if is_started else None
