"""A parser whose errors end with the exit code for a wrong command line."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from capa_migration.cli import USAGE


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that keeps the layout of its epilogue and exits with 3 on a usage error."""

    def __init__(self, **options: object) -> None:
        """Take what `ArgumentParser` takes, by keyword."""
        # A shortened option would change its meaning when another of the same beginning comes.
        fixed = {"allow_abbrev": False, "formatter_class": _Layout}
        super().__init__(**{**options, **fixed})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on, and exit."""
        self.exit(USAGE, f"{self.prog}: {message}\n`{self.prog} --help` shows what is possible\n")


class _Layout(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of an epilogue, and is as wide as the terminal.

    argparse would load `shutil`, and compression with it, to learn how wide that is: even to take arguments in.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        pass
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ else 80
    except (OSError, ValueError):  # no terminal, or closed
        return 80
