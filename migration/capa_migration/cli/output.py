"""Where a report goes, and in which format."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from capa_migration.errors import OptionsError
from capa_migration.rewrite import formats

if TYPE_CHECKING:
    from capa_migration.rewrite.report import Report

_TOLD_PATHS = 3
_ACTED_UPON = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)  # by a terminal; file names and sources may hold them


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Give *parser* the paths of what to look at."""
    parser.add_argument(
        "paths", nargs="*", default=["."], metavar="PATH", help="folders and files; here by default"
    )


def add_exclude(parser: argparse.ArgumentParser) -> None:
    """Give *parser* the option that leaves parts of a tree out."""
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATH", help="leave this folder or file out"
    )


def as_words(paths: Sequence[str]) -> str:
    """Return *paths* as a shell takes them, for the command that comes next; many are not all told."""
    return shlex.join(paths) if len(paths) <= _TOLD_PATHS else f"{shlex.join(paths[:_TOLD_PATHS])} …"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give *parser* the options that say how and where to tell what was found."""
    parser.add_argument(
        "--format", choices=formats.names(), default="text", help="how to tell it; text by default"
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="put it into this file, whole or not at all")


def require_place(arguments: argparse.Namespace) -> None:
    """Make sure, before anything is done, that there is a place for what will be told.

    Raises:
        OptionsError: The folder of the file to put it into is not there, or cannot be written to.
    """
    if arguments.output:
        folder = os.path.dirname(os.path.realpath(arguments.output))
        if not os.access(folder, os.W_OK):
            raise OptionsError(
                f"{arguments.output}: its folder is not there or cannot be written to: name another file"
            )


def show(report: Report, arguments: argparse.Namespace) -> int:
    """Tell *report* as *arguments* want it, and return the exit code of its command.

    Raises:
        OptionsError: The file to put it into cannot be written.
    """
    pieces = formats.load(arguments.format)(report)
    if arguments.output:
        put(arguments.output, _encoded(pieces))
    elif arguments.format == "text":
        _print_painted(map(_visible, pieces))
    else:
        _print(pieces, sys.stdout)
    return report.exit_code


def say(lines: Iterable[str], stream: TextIO) -> None:
    """Print *lines* on *stream*, with nothing in them that a terminal acts upon."""
    from capa_migration.rewrite.formats.text import lined

    _print(map(_visible, lined(lines)), stream)


def put(path: str, data: bytes) -> None:
    """Put *data* at *path*, whole or not at all.

    Raises:
        OptionsError: It cannot be written. What was there still is.
    """
    from capa_codemods.api import CodemodError, read_file, replace_file

    place = os.path.realpath(path)
    try:
        if os.path.exists(place) and not os.path.isfile(place):
            with open(place, "wb") as file:  # /dev/stdout, or a pipe: nothing that could be torn
                file.write(data)
        else:
            replace_file(place, data, temporary=f"{place}.{os.getpid()}.tmp", expected=read_file(place))
    except (OSError, CodemodError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise OptionsError(f"{path}: cannot be written: {said}: name another file") from error


def _visible(piece: str | bytes) -> str | bytes:
    if isinstance(piece, bytes):
        return piece
    return _ACTED_UPON.sub(lambda found: f"\\x{ord(found[0]):02x}", piece)


def _encoded(pieces: Iterable[str | bytes]) -> bytes:
    parts = (piece if isinstance(piece, bytes) else _utf8(piece) for piece in pieces)
    return b"".join(parts)


def _utf8(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _print(pieces: Iterable[str | bytes], stream: TextIO) -> None:
    for piece in pieces:
        if isinstance(piece, bytes):
            stream.flush()
            stream.buffer.write(piece)
            stream.buffer.flush()
        else:
            stream.write(piece)


def _print_painted(pieces: Iterable[str | bytes]) -> None:
    from capa_migration.cli.terminal import has_colour

    if has_colour(sys.stdout):
        from capa_migration.cli.paint import painted

        _print(map(painted, pieces), sys.stdout)
    else:
        _print(pieces, sys.stdout)
