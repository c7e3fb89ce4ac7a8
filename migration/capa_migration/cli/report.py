"""`capa report`: write the report page."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.output import (
    add_exclude,
    add_paths,
    add_sdk,
    output_of,
    print_json,
    shell_words,
    write_file,
)
from capa_migration.rewrite.target import Options

if TYPE_CHECKING:
    from capa_migration.rewrite.plan import Plan

_NAME = "report.html"
_EXAMPLES = """\
examples:
  capa report . --open                 open it in the browser
  capa report . --output report.html   one file, to pass on

exit codes: 0 done; 2 some files could not be read or proven, and the page names them; 3 wrong usage
"""


def parser() -> Parser:
    """Return the parser of `capa report`."""
    parser = Parser(
        prog="capa report",
        description="Write the report page of a migration: SDKs in use, coverage, changes and progress.",
        epilog=_EXAMPLES,
    )
    add_paths(parser)
    parser.add_argument(
        "--output",
        "-o",
        metavar="FILE",
        help="the file to write; .capa-migrate/report.html in the project by default",
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--json", action="store_true", help="print data instead of text: `page` is the path")
    add_exclude(parser)
    add_sdk(parser)
    return parser


def run(words: list[str]) -> int:
    """Run `capa report` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_migration.cli.scan import survey
    from capa_migration.rewrite import history
    from capa_migration.rewrite.page import page

    options = Options(exclude=tuple(arguments.exclude), sdks=tuple(arguments.sdk))
    found = survey(arguments.paths, options)
    plan = _plan(arguments.paths, options)
    history.remember(arguments.paths, found, "report", exclude=arguments.exclude)
    text = page(shell_words(arguments.paths), found, plan).encode(errors="backslashreplace")
    if arguments.output:
        write_file(arguments.output, text)
    place = arguments.output or _write_own(found.root, text)
    code = FAILED if found.unread or plan.failures else CLEAN
    with output_of(f"{place}: the page is written"):
        if arguments.json:
            print_json({"root": found.root, "page": os.path.abspath(place)}, code)
        else:
            print(f"{place}: the page is written. Next: open it in a browser.")
    if arguments.open:
        _open(place)
    return code


def _plan(paths: list[str], options: Options) -> Plan:
    from capa_migration.cli.terminal import ProgressLine
    from capa_migration.rewrite.plan import make

    with ProgressLine() as progress:
        return make(paths, options, remember=False, progress=progress)


def _write_own(root: str, data: bytes) -> str:
    """Write the page *data* beside the journal, as private as that, since it quotes the sources; return its place.

    Raises:
        OptionsError: It cannot be written. An existing page is unchanged.
    """
    from capa_codemods.api import MIGRATE_FOLDER, make_migrate_folder, move_earlier_file, write_private
    from capa_migration.errors import OptionsError

    place = f"{root}/{MIGRATE_FOLDER}/{_NAME}"
    make_migrate_folder(root)
    try:
        move_earlier_file(root, _NAME)  # else an old page would stay where users remember it
        write_private(place, data)
    except OSError as error:
        raise OptionsError(
            f"{place}: cannot be written: {error.strerror}: name a file with --output"
        ) from error
    return place


def _open(place: str) -> None:
    import webbrowser
    from pathlib import Path

    if not webbrowser.open(Path(os.path.abspath(place)).as_uri()):
        print("no browser was found here: open the file on a machine that has one", file=sys.stderr)
