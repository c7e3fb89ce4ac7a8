"""Argument parser: usage errors exit with 3, help keeps its layout."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from capa_codemods.api import did_you_mean
from capa_migration.cli import USAGE

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that keeps the layout of its epilogue and exits with 3 on a usage error."""

    def __init__(self, **options: object) -> None:
        """Accept the keywords of `ArgumentParser`."""
        # A shortened option would change its meaning when a longer one with the same beginning is added.
        fixed = {"allow_abbrev": False, "formatter_class": _Layout}
        super().__init__(**{**options, **fixed})  # type: ignore[arg-type]

    def parse_known_args(  # type: ignore[override]  # with neither argument the result has another type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse *args* and refuse those that are not known, naming the option that was probably meant."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hints = (
                did_you_mean(word.partition("=")[0], self._option_string_actions, "") for word in unknown
            )
            self.error(": ".join([f"unrecognized arguments: {' '.join(unknown)}", *filter(None, hints)]))
        return parsed, unknown

    def _check_value(self, action: argparse.Action, value: object) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if hint := did_you_mean(str(value), map(str, action.choices or ()), ""):
                error.message += f": {hint}"
            raise

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse passes over every error here. Help that cannot be printed is one; a usage error has its exit code.
        if file is not None and file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)

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


def seconds(text: str) -> float:
    """Return the number of seconds that *text* says, from 0 to a week.

    Raises:
        argparse.ArgumentTypeError: It says none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 604_800:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 604800")
    return number
