"""Recognise the commands that start Celery's own command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SUBCOMMANDS = frozenset(
    {"worker", "beat", "multi", "events", "flower", "inspect", "control", "status", "purge", "call", "result",
     "shell", "upgrade", "migrate", "list", "logtool", "graph", "amqp", "report"}
)  # fmt: skip
_PROGRAMS = frozenset({"celery", "$CELERY_BIN", "${CELERY_BIN}", "%CELERY_BIN%"})
_WITH_VALUE = frozenset(
    {"-A", "--app", "-b", "--broker", "--result-backend", "--loader", "--config", "--workdir"}
)


class CeleryCommand(NamedTuple):
    """What a command asks of Celery.

    Attributes:
        subcommand: `worker`, `beat`, …; empty if only options are given.
        application: What `-A` names; empty if nothing does.
        options: Option → its value, of those that are written with one; empty for the others.
    """

    subcommand: str
    application: str
    options: dict[str, str]


def celery_command(words: Sequence[str]) -> CeleryCommand | None:
    """Return what *words*, a simple command, asks of Celery; None if it is another command."""
    program = words[0].replace("\\", "/").rpartition("/")[2].removesuffix(".exe") if words else ""
    options = _options(words[1:])
    if program == "flower" and options:  # which Flower also installs as a program of its own
        return CeleryCommand("flower", options.get("-A", "") or options.get("--app", ""), options)
    if program not in _PROGRAMS:
        return None
    subcommand = next((word for word in _positional(words[1:]) if word), "")
    application = options.get("-A", "") or options.get("--app", "")
    if subcommand not in SUBCOMMANDS:
        # Only options of its own tell `celery --help` and `celery -A x` from a thing of that name.
        subcommand = ""
    is_started = bool(subcommand or application or {"--version", "--help"}.intersection(options))
    return CeleryCommand(subcommand, application, options) if is_started else None


def _options(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            found[name] = value if equals else _value_at(words, at + 1)
        elif word.startswith("-") and len(word) > 1:
            found[word[:2]] = word[2:].removeprefix("=") or _value_at(words, at + 1)
    return found


def _value_at(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) and not words[at].startswith("-") else ""


def _positional(words: Sequence[str]) -> list[str]:
    """Return the words that are no options and no values of Celery's own options."""
    return [
        word
        for at, word in enumerate(words)
        if not word.startswith("-") and not (at and words[at - 1] in _WITH_VALUE)
    ]
