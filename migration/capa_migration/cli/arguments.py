"""Argument parser: usage errors exit with 3, help keeps its layout."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from capa_migration.cli import USAGE


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that keeps the layout of its epilogue and exits with 3 on a usage error."""

    def __init__(self, **options: object) -> None:
        """Accept the keywords of `ArgumentParser`."""
        # A shortened option would change its meaning when a longer one with the same beginning is added.
        fixed = {"allow_abbrev": False, "formatter_class": _Layout}
        super().__init__(**{**options, **fixed})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Print *message* and the command for help, and exit with 3."""
        self.exit(USAGE, f"{self.prog}: {message}\n`{self.prog} --help` lists the options\n")


class _Layout(argparse.RawDescriptionHelpFormatter):
    """The layout of help: an epilogue as written, lines as wide as the terminal.

    argparse would load `shutil`, and compression with it, to find that width, even when no help is printed.
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
