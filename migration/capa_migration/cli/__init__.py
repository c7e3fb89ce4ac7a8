"""The command `capa`: find the sub-command, load it alone, run it, turn its errors into an exit code.

argparse and one module for each sub-command, loaded when named: docs/decisions/argparse-for-the-command-line.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

CLEAN, WOULD_CHANGE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; docs/reference/exit-codes.md."""

COMMANDS = {
    "scan": "show which SDKs a project uses, where and how, and what of it Capa serves",
    "report": "write the page that shows how a migration stands",
    "migrate": "check, show, apply or undo the rewrite of a project",
    "run": "run an unmodified application on Capa, as a trial",
    "doctor": "show which component serves what, and whether it answers",
    "queue": "look into topics: list, peek, replay dead letters, purge",
    "explain": "print the reason behind the ID of a message",
    "completion": "print what makes a shell complete these words",
}
"""The commands: each a module beside this one with `parser()`, and `run(words)` that returns an exit code."""

_HELP = """\
usage: capa COMMAND ...

Run an application built on vendor SDKs on any cloud: change import paths, choose engines in one file.

{commands}

`capa COMMAND --help` says more. To begin, in the folder of your project:

  capa scan .                what is there
  capa migrate diff .        what would change
  capa migrate apply .       change it; `capa migrate undo .` takes it back
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # File names may be no Unicode, and the terminal may know few letters: show what can be shown.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if words and words[0] in COMMANDS:
        return _guarded(words[0], words[1:])
    if words[:1] in (["--version"], ["-V"]):
        return _print_version()
    shown = _HELP.format(commands="\n".join(f"  {name:<11} {what}" for name, what in COMMANDS.items()))
    if not words or words[0] in {"-h", "--help"}:
        print(shown)
        return CLEAN if words else USAGE
    print(f"capa: there is no command `{words[0]}`\n\n{shown}", file=sys.stderr)
    return USAGE


def _guarded(command: str, words: list[str]) -> int:
    from capa_codemods.api import BusyError, CodemodError
    from capa_migration.errors import MigrationError

    try:
        code = import_module(f"capa_migration.cli.{command}").run(words)
        sys.stdout.flush()
    except BrokenPipeError:  # `capa scan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print(
            f"capa {command}: interrupted; no file is torn, and the next run that writes takes back what was begun",
            file=sys.stderr,
        )
        return INTERRUPTED
    except (MigrationError, BusyError) as error:
        print(f"capa {command}: {error}", file=sys.stderr)
        return USAGE
    except (CodemodError, OSError) as error:
        print(f"capa {command}: {_said(error)}", file=sys.stderr)
        return FAILED
    return int(code)


def _said(error: Exception) -> str:
    from capa_codemods.api import remedy_for

    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}: {remedy_for(error)} and run again; nothing was changed"
    return str(error)


def _print_version() -> int:
    from capa_codemods.api import (
        __version__,  # what `importlib.metadata` would say, which takes longer to load
    )

    print(f"capa {__version__}")
    return CLEAN
