"""The command `capa`: find the sub-command, load it alone, run it, turn its errors into an exit code.

argparse and one module for each sub-command, loaded when named: docs/decisions/argparse-for-the-command-line.md.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

CLEAN, WOULD_CHANGE, FAILED, USAGE, INTERRUPTED, READER_GONE = 0, 1, 2, 3, 130, 141
"""Exit codes; docs/reference/exit-codes.md."""

COMMANDS = {
    "scan": "list the SDKs that a project uses, each place, and how well Capa serves it",
    "report": "write the report page: SDKs in use, coverage, changes, progress",
    "migrate": "check, show, apply or undo the rewrite of a project; move its waiting tasks",
    "run": "run an unmodified application on Capa, as a trial",
    "doctor": "show the component behind each block, and whether it answers",
    "health": "ask every engine, and tell by the exit code whether all answer",
    "config": "read, write, compare and copy configuration, and keep two stores equal",
    "bridge": "move the messages of a topic to another component",
    "queue": "inspect topics: list, peek, replay dead letters, purge",
    "schedule": "inspect jobs: list, history, run, pause, resume, export as CronJobs",
    "explain": "print the reason behind the ID of a message",
    "completion": "print a completion script for a shell",
}
"""The commands: each is a module of this folder with `parser()`, and `run(words)` that returns an exit code."""

_STATES = {
    "scan": "; nothing was changed",
    "report": "; nothing was changed",
    "bridge": "; messages that were moved stay so, and those that were in flight come again",
    "migrate": "; no file is half written, and the next run that writes undoes the unfinished rewrite",
}
"""The state that an interrupted command leaves."""

_HELP = """\
usage: capa COMMAND ...

Run an application built on vendor SDKs on any cloud: change import paths, choose engines in one file.

{commands}

`capa COMMAND --help` describes a command. First steps, in the folder of your project:

  capa scan .                list the SDKs in use
  capa migrate diff .        show the changes
  capa migrate apply .       make them; `capa migrate undo .` undoes them
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] != ["run"] and not _has_streams():  # `capa run` becomes the command, which may need none
        return FAILED
    # File names may not be Unicode, and the terminal may have few characters: escape the others.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return _run_guarded(words)


def _carry_out(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        return _run(words[0], words[1:])
    if words[:1] in (["--version"], ["-V"]):
        return _print_version()
    if words and words[0] not in {"-h", "--help"} and (hint := _nearest(words[0])):
        print(f"capa: there is no command `{words[0]}`: {hint} `capa --help` lists all", file=sys.stderr)
        return USAGE
    shown = _HELP.format(commands="\n".join(f"  {name:<11} {summary}" for name, summary in COMMANDS.items()))
    if not words or words[0] in {"-h", "--help"}:
        print(shown)
        return CLEAN if words else USAGE
    print(f"capa: there is no command `{words[0]}`\n\n{shown}", file=sys.stderr)
    return USAGE


def _run(command: str, words: list[str]) -> int:
    try:
        return int(import_module(f"capa_migration.cli.{command}").run(words))
    except SystemExit:  # argparse has printed help or a usage error: errors of the streams must be met here
        sys.stdout.flush()
        _drop_unwritten(sys.stderr)
        raise


def _nearest(word: str) -> str:
    """Return the question for the command or option that is most like *word*; empty if none is like it."""
    from capa_codemods.api import did_you_mean

    return did_you_mean(word, [*COMMANDS, "--help", "--version"], otherwise="")


def _has_streams() -> bool:
    """Return whether standard output is open, reporting that it is not; replace a closed standard error by none."""
    # Python has None for a stream that was closed before it started, as by `>&-`.
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        print(
            "capa: standard output is closed; nothing was done. Send it to a file or to /dev/null",
            file=sys.stderr,
        )
        return False
    return True


def _run_guarded(words: list[str]) -> int:
    from capa_codemods.api import BusyError, CodemodError
    from capa_migration.errors import MigrationError, OutputError

    command = words[0] if words and words[0] in COMMANDS else ""
    try:
        code = _carry_out(words)
        sys.stdout.flush()
    except BrokenPipeError:  # `capa scan | head`
        code, said = READER_GONE, ""
    except OutputError as error:
        code = READER_GONE if isinstance(error.__cause__, BrokenPipeError) else FAILED
        said = str(error)
    except KeyboardInterrupt:
        code, said = INTERRUPTED, f"interrupted{_STATES.get(command, '')}"
    except (MigrationError, BusyError) as error:
        code, said = USAGE, str(error)
    except (CodemodError, OSError) as error:
        code, said = FAILED, _message(error)
    else:
        return code
    _end_output(f"{f'capa {command}'.rstrip()}: {said}" if said else "")
    return code


def _end_output(message: str) -> None:
    """Print *message* on standard error, and drop what neither stream can take: Python would exit with 120 over it."""
    with contextlib.suppress(OSError):  # standard error is full or closed too: the exit code says it
        sys.stderr.write(f"{message}\n" if message else "")
    for stream in (sys.stdout, sys.stderr):
        _drop_unwritten(stream)


def _drop_unwritten(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _message(error: Exception) -> str:
    from capa_codemods.api import remedy_for

    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}: {remedy_for(error)} and run again; nothing was changed"
    return str(error)


def _print_version() -> int:
    from capa_codemods.api import (
        __version__,  # `importlib.metadata` has it too, and takes longer to load
    )

    print(f"capa {__version__}")
    return CLEAN
