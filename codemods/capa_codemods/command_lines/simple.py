"""Split statements into simple commands, and find each behind its wrappers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from capa_codemods.command_lines.found import PROGRAMS, SimpleCommand, Statement
from capa_codemods.command_lines.shell_text import shown, without_substitutions
from capa_codemods.command_lines.shell_text import words as shell_words

_RECIPE = re.compile(r"^@[@+-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_SHELL = re.compile(r"(?:^|/)(?:ba|da|z|a|k)?sh$")
_PYTHON = re.compile(r"python[\d.]*|\$[{(]?\w*PYTHON\w*[)}]?")
_EXEC_FORM = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'([^']*)'")

# A wrapper → how many words of its own come before the command, its options aside.
_WRAPPERS = {
    **dict.fromkeys(
        ("exec", "nohup", "time", "command", "tini", "dumb-init", "ddtrace-run", "env", "sudo", "nice"), 0
    ),
    **dict.fromkeys(
        ("then", "do", "else", "if", "elif", "while", "until", "!", "{", "CMD", "call", "start"), 0
    ),
    **dict.fromkeys(
        ("opentelemetry-instrument", "stdbuf", "ionice", "setsid", "xvfb-run", "catchsegv", "xargs"), 0
    ),
    **dict.fromkeys(
        (
            *("gosu", "su-exec", "newrelic-admin", "timeout", "chpst", "setuidgid", "softlimit", "dotenv"),
            "s6-setuidgid",
        ),
        1,
    ),
    **dict.fromkeys(
        (
            "poetry",
            "pipenv",
            "uv",
            "pdm",
            "hatch",
            "rye",
            "pixi",
            "conda",
            "mamba",
            "micromamba",
            "honcho",
            "heroku",
        ),
        1,
    ),
    **dict.fromkeys(("flock", "dockerize", "strace", "coverage", "screen"), 0),
}
"""Words that run the command after them. Of tools such as `poetry`, only the sub-commands in `_RUNNING` do."""

_RUNNING = frozenset({"run", "run-program", "exec", "shell"})
_TOOLS = frozenset({"newrelic-admin", "poetry", "pipenv", "uv", "pdm", "hatch", "rye", "pixi", "conda", "mamba",
                    "micromamba", "honcho", "dotenv", "coverage", "heroku"})  # fmt: skip
# These run the command behind `--`.
_DASHES = frozenset({"watchmedo", "wait-for-it", "wait-for-it.sh", "wait-for", "wait-for.sh", "kubectl", "doppler",
                     "op",
                     "chamber", "aws-vault", "runuser", "envconsul", "teller",
                     "infisical", "set"})  # fmt: skip
_DOCKER = re.compile(r"\$[({]?\w*(?:DOCKER|COMPOSE|PODMAN)\w*[)}]?$")
# A script, or a variable, before the program that it runs: `bin/start-pgbouncer celery …`, `$(RUN) celery …`.
_SCRIPT = re.compile(r"\.{0,2}/(?:[\w.-]+/)*[\w.-]+|(?:[\w.-]+/)+[\w.-]+|[\w.-]+\.sh|\$[({]?\w+[)}]?")
# These run one word, which a shell reads.
_QUOTING = {
    "CMD-SHELL": "",
    "watchfiles": "",
    "su": "-c",
    "nodemon": "--exec",
    "entr": "",
    "runuser": "-c",
    "parallel": "",
    **dict.fromkeys(("eval", "ssh", "tmux", "pm2", "trap"), ""),
}
_PROGRAM_OPTIONS = frozenset({"-x", "--exec", "-a", "--startas"})  # of start-stop-daemon
_WITH_VALUE = frozenset({"-u", "-n", "-g", "-s", "-k", "--user", "--signal", "--name", "-p", "--project", "--env-file",
                         "-e", "--env", "-v", "--volume", "-w", "--workdir", "-f", "--file", "-wait", "-timeout",
                         "--network", "--package", "--extra", "--group", "--with", "--python", "-dmS",
                         "--traces_exporter", "--metrics_exporter", "--logs_exporter",
                         "--service_name"})  # fmt: skip


def simple_commands(found: Iterable[Statement]) -> Iterator[SimpleCommand]:
    """Yield each command in the statements *found*, without its wrappers."""
    for statement in found:
        if not statement.is_worth_reading:
            continue
        for words in _split(list(statement.words)) if statement.words else _parts(statement.text):
            if stripped := _unwrapped(words):
                yield SimpleCommand(statement.line, tuple(map(shown, stripped)))


def _parts(text: str) -> Iterator[list[str]]:
    """Yield the words of each simple command in the *text* of a shell."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and text.count(text[0]) == 2:
        text = text[1:-1]  # a text in quotes, as process managers have it
    text, inner = without_substitutions(text)
    for one in inner:
        yield from _parts(one)
    if text.startswith("[") and text.endswith("]"):
        yield from _split([one or other for one, other in _EXEC_FORM.findall(text)])
        return
    yield from _split(shell_words(text.replace("\\\n", " ").replace("\n", " ; ")))


def _split(words: list[str]) -> Iterator[list[str]]:
    """Yield the parts of *words* between separators."""
    part: list[str] = []
    for word in [*words, ";"]:
        if word != ";":
            part.append(word)
        elif part:
            yield from _read_by_shell(part)
            part = []


def _read_by_shell(part: list[str]) -> Iterator[list[str]]:
    """Yield *part*, or the commands in the text that it gives a shell to read."""
    words = _unwrapped(part)
    if not words:
        return
    name = words[0].rpartition("/")[2]
    text = ""
    if _SHELL.search(words[0]):
        option = next((at for at, word in enumerate(words[1:], 1) if re.fullmatch(r"-\w*c", word)), 0)
        text = " ".join(words[option + 1 :][:1]) if option else ""
    elif name in _QUOTING:
        option = words.index(_QUOTING[name]) if _QUOTING[name] in words else 0
        text = next((word for word in words[option + 1 :] if " " in word), "")
    if text:
        yield from _parts(text)
    elif not _SHELL.search(words[0]):
        yield words


def _unwrapped(words: list[str]) -> list[str]:
    """Return *words* without assignments and wrappers before the command proper."""
    while words:
        # A recipe of a Makefile may begin with these, also behind the `;` of its rule.
        words = [_RECIPE.sub("", words[0]), *words[1:]]
        name = words[0].rpartition("/")[2]
        if _ASSIGNMENT.match(words[0]):
            words = words[1:]
        elif name in _DASHES and "--" in words:
            at = words.index("--")
            started = words[at - 1 : at] if words[at - 1] in PROGRAMS else []  # watchmedo … celery -- -A proj
            words = [*started, *words[at + 1 :]]
        elif (_DOCKER.match(words[0]) and (inner := _in_container(words))) or (
            name in _READERS and (inner := _READERS[name](words))
        ):
            words = inner
        elif name in _WRAPPERS and not (name in _TOOLS and not _RUNNING.intersection(words[1:])):
            words = _without_options(words[1:], own=_WRAPPERS[name])
        elif _PYTHON.fullmatch(name) and "-m" in words[1:6]:
            words = words[words.index("-m") + 1 :]
        elif name == "run" and words[1:2] == ["-m"]:  # coverage run -m celery
            words = words[2:]
        elif words[1:] and _starts(words):
            words = words[1:]
        else:
            return words
    return words


def _read(name: str, words: list[str]) -> list[str]:
    """Return the command that *words* start by a reader such as `docker`, the program *name*; empty if none."""
    reader = _in_container if _DOCKER.match(words[0]) else _READERS.get(name)
    return reader(words) if reader else []


def _starts(words: list[str]) -> bool:
    """Return whether the first of *words* is a script or a variable, and the second a program that it starts.

    Without `-A` it may be a sub-command of the first, as in `./manage.py celery worker`.
    """
    is_program = words[1].rpartition("/")[2] in PROGRAMS and words[0].rpartition("/")[2] not in PROGRAMS
    names_application = any(word.startswith(("-A", "--app")) for word in words[2:])
    return is_program and names_application and _SCRIPT.fullmatch(words[0]) is not None


def _in_container(words: list[str]) -> list[str]:
    """Return the command that `docker exec`, `docker compose run` and their like run; empty if they run none."""
    at = next((at for at, word in enumerate(words) if word in {"exec", "run"}), None)
    return _without_options(words[at + 1 :], own=1) if at is not None else []


def _as_daemon(words: list[str]) -> list[str]:
    """Return the program that `start-stop-daemon` starts, with the words behind `--`; empty if it names none."""
    given = words[: words.index("--")] if "--" in words else words
    program = [value for option, value in pairwise(given) if option in _PROGRAM_OPTIONS][-1:]
    return [*program, *words[len(given) + 1 :]] if program else []


def _without_options(words: list[str], *, own: int) -> list[str]:
    while words and (words[0].startswith("-") or own):
        if words[0] == "--":
            return words[1:]
        if words[0].startswith("-"):
            words = words[2:] if words[0] in _WITH_VALUE else words[1:]
        else:
            words, own = words[1:], own - 1
    return words


_READERS: dict[str, Callable[[list[str]], list[str]]] = {
    **dict.fromkeys(("docker", "docker-compose", "podman", "nerdctl"), _in_container),
    "start-stop-daemon": _as_daemon,
}
