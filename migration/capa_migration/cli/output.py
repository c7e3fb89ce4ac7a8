"""Output of reports: the format, and the file or stream."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from capa_migration.errors import OptionsError, OutputError
from capa_migration.rewrite import formats

if TYPE_CHECKING:
    from capa_migration.rewrite.report import Report

_MAX_SHOWN_PATHS = 3
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""A terminal acts on them; file names and sources may hold them."""


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add the folders and files to read to *parser*."""
    parser.add_argument(
        "paths", nargs="*", default=["."], metavar="PATH", help="folders and files; here by default"
    )


def add_exclude(parser: argparse.ArgumentParser) -> None:
    """Add the option that leaves out parts of a tree to *parser*."""
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATH", help="leave this folder or file out"
    )


def add_sdk(parser: argparse.ArgumentParser) -> None:
    """Add the option that makes a frequent name an SDK to *parser*."""
    parser.add_argument(
        "--sdk",
        action="append",
        default=[],
        metavar="MODULE",
        help="this module, such as `apollo`, is the SDK of that name, though no manifest requires it",
    )


def shell_words(paths: Sequence[str]) -> str:
    """Return *paths* quoted for a shell, to show in the next command; the first few of many."""
    return (
        shlex.join(paths) if len(paths) <= _MAX_SHOWN_PATHS else f"{shlex.join(paths[:_MAX_SHOWN_PATHS])} …"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for format and destination of the output to *parser*."""
    parser.add_argument(
        "--format", choices=formats.names(), default="text", help="format of the output; text by default"
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )
    parser.add_argument(
        "--color",
        action=argparse.BooleanOptionalAction,
        help="colour in text; at a terminal by default, and as NO_COLOR and FORCE_COLOR say",
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="write to this file, whole or not at all")


def require_output_folder(arguments: argparse.Namespace) -> None:
    """Check that the output can be written, before anything is changed.

    Raises:
        OptionsError: The folder of the output file does not exist, or cannot be written to.
    """
    if arguments.output:
        folder = os.path.dirname(os.path.realpath(arguments.output))
        if not os.access(folder, os.W_OK):
            raise OptionsError(
                f"{arguments.output}: its folder does not exist or cannot be written to: name another file"
            )


def show(report: Report, arguments: argparse.Namespace) -> int:
    """Write *report* as *arguments* ask for, and return the exit code of its command.

    Raises:
        OptionsError: The output file cannot be written.
    """
    write(formats.load(arguments.format)(report), arguments)
    return report.exit_code


def write(pieces: Iterable[str | bytes], arguments: argparse.Namespace) -> None:
    """Write the *pieces* of a document to the file or stream, and with the colour, that *arguments* ask for.

    Raises:
        OptionsError: The output file cannot be written.
    """
    if arguments.output:
        write_file(arguments.output, _encoded(pieces))
    elif arguments.format == "text":
        _print_painted(map(_escaped, pieces), wanted=arguments.color)
    else:
        _print(pieces, sys.stdout)


@contextmanager
def output_of(change: str) -> Iterator[None]:
    """Let the block print about a *change* that has been made, with the way to undo it; empty if none was made.

    Raises:
        OutputError: The output about a change cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except (OSError, OptionsError) as error:
        if not change:
            raise
        cause = (error.strerror if isinstance(error, OSError) else "") or error
        raise OutputError(f"{cause}: the output is incomplete, and the change was made: {change}") from error


def print_json(data: Mapping[str, Any], code: int) -> int:
    """Print *data* in the envelope of all commands, `schema` before and `exit` behind, and return *code*."""
    from capa_migration.rewrite.report import SCHEMA

    print(json.dumps({"schema": SCHEMA, **data, "exit": code}, indent=2))
    return code


def print_lines(lines: Iterable[str], stream: TextIO) -> None:
    """Print *lines* on *stream*, with control characters escaped."""
    from capa_migration.rewrite.formats.text import with_line_ends

    _print(map(_escaped, with_line_ends(lines)), stream)


def write_file(path: str, data: bytes) -> None:
    """Write *data* to *path*, whole or not at all.

    Raises:
        OptionsError: It cannot be written. An existing file is unchanged.
    """
    from capa_codemods.api import CodemodError, read_file, replace_file

    place = os.path.realpath(path)
    try:
        if os.path.exists(place) and not os.path.isfile(place):
            with open(place, "wb") as file:  # /dev/stdout, or a pipe: it cannot be replaced as a whole
                file.write(data)
        else:
            replace_file(place, data, temporary=f"{place}.{os.getpid()}.tmp", expected=read_file(place))
    except (OSError, CodemodError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise OptionsError(f"{path}: cannot be written: {cause}: name another file") from error


def _escaped(piece: str | bytes) -> str | bytes:
    if isinstance(piece, bytes):
        return piece
    return _CONTROL_CHARACTERS.sub(lambda found: f"\\x{ord(found[0]):02x}", piece)


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


def _print_painted(pieces: Iterable[str | bytes], *, wanted: bool | None) -> None:
    from capa_migration.cli.terminal import has_colour

    if has_colour(sys.stdout, wanted=wanted):
        from capa_migration.cli.paint import painted

        _print(map(painted, pieces), sys.stdout)
    else:
        _print(pieces, sys.stdout)
