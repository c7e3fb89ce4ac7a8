"""A parser whose errors end with the exit code for a wrong command line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from capa_migration.cli import USAGE


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that keeps the layout of its epilogue and exits with 3 on a usage error."""

    def __init__(self, **options: object) -> None:
        """Take what `ArgumentParser` takes, by keyword."""
        # A shortened option would change its meaning when another of the same beginning comes.
        fixed = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(**{**options, **fixed})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on, and exit."""
        self.exit(USAGE, f"{self.prog}: {message}\n`{self.prog} --help` shows what is possible\n")
