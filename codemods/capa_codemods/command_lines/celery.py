"""Recognise the commands that start Celery's own command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SUBCOMMANDS = frozenset(
    {"worker", "beat", "multi", "events", "flower", "inspect", "control", "status", "purge", "call", "result",
     "shell", "upgrade", "migrate", "list", "logtool", "graph", "amqp", "report"}
)  # fmt: skip
_STARTING = frozenset({"start", "restart"})
_PROGRAMS = frozenset(
    {"celery", "$CELERY", "${CELERY}", "%CELERY%", "$CELERY_BIN", "${CELERY_BIN}", "%CELERY_BIN%"}
)
_WITH_VALUE = frozenset({"-A", "--app", "-b", "--broker", "-l", "--loglevel", "--result-backend", "--loader",
                         "--config", "--workdir"})  # fmt: skip


class CeleryCommand(NamedTuple):
    """One command line of Celery.

    Attributes:
        subcommand: `worker`, `beat`, …; empty if only options are given.
        application: The value of `-A`; empty without it.
        options: Option → its value, of those that are written with one; empty for the others.
        starts: The sub-command that runs in the end: `multi start` starts workers with the options it is given.
    """

    subcommand: str
    application: str
    options: dict[str, str]
    starts: str


def celery_command(words: Sequence[str]) -> CeleryCommand | None:
    """Return the Celery command that *words*, a simple command, are; None if it is another command."""
    program = words[0].replace("\\", "/").rpartition("/")[2].removesuffix(".exe") if words else ""
    options = _options(words[1:])
    if program == "flower" and options:  # which Flower also installs as a program of its own
        return CeleryCommand("flower", options.get("-A", "") or options.get("--app", ""), options, "flower")
    if program not in _PROGRAMS:
        return None
    subcommand, action = [*filter(None, _positional(words[1:])), "", ""][:2]
    application = options.get("-A", "") or options.get("--app", "")
    if subcommand not in SUBCOMMANDS:
        # `celery --help` and `celery -A x` are commands by their options; other uses of the word are not.
        subcommand = ""
    is_started = bool(subcommand or application or {"--version", "--help"}.intersection(options))
    starts = "worker" if subcommand == "multi" and action in _STARTING else subcommand
    return CeleryCommand(subcommand, application, options, starts) if is_started else None


def _options(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            # `multi` takes options of single nodes, such as `--pool:1=solo` and `-P:1 solo`.
            found[name.partition(":")[0]] = value if equals else _value_at(words, at + 1)
        elif word.startswith("-") and len(word) > 1:
            given = "" if word[2:3] == ":" else word[2:].removeprefix("=")
            found[word[:2]] = given or _value_at(words, at + 1)
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
