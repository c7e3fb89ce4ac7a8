"""`capa scan`: list the SDKs that a project uses, and each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.output import add_exclude, add_options, add_paths, shell_words, show
from capa_migration.rewrite.target import Options

if TYPE_CHECKING:
    from capa_migration.rewrite.scan.sites import Survey

_EXAMPLES = """\
examples:
  capa scan .                 the numbers, and every place that Capa does not serve in full
  capa scan . --all           every place
  capa scan . --json > scan.json
  capa scan . --format sarif -o scan.sarif

exit codes: 0 done; 2 some files could not be read; 3 wrong usage
"""


def parser() -> Parser:
    """Return the parser of `capa scan`."""
    parser = Parser(
        prog="capa scan", description="List the SDKs that a project uses, and each place.", epilog=_EXAMPLES
    )
    add_paths(parser)
    parser.add_argument(
        "--all", action="store_true", help="list every place, not only those not served in full"
    )
    add_exclude(parser)
    add_options(parser)
    return parser


def run(words: list[str]) -> int:
    """Run `capa scan` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_migration.rewrite import history
    from capa_migration.rewrite.plan import make
    from capa_migration.rewrite.report import Report

    options = Options(exclude=tuple(arguments.exclude))
    found = survey(arguments.paths, options)
    history.remember(arguments.paths, lambda: found, "scan", exclude=arguments.exclude)
    return show(
        Report(
            "scan",
            shell_words(arguments.paths),
            FAILED if found.unread else CLEAN,
            plan=lambda: make(arguments.paths, options, remember=False),
            survey=lambda: found,
            everything=arguments.all,
        ),
        arguments,
    )


def survey(paths: Sequence[str], options: Options) -> Survey:
    """Return the SDKs and call sites of the tree at *paths*, and show progress.

    Raises:
        OptionsError: No adapter is installed.
    """
    from capa_codemods.api import import_map_paths
    from capa_migration.cli.terminal import ProgressLine
    from capa_migration.errors import OptionsError
    from capa_migration.rewrite.scan import survey as scan

    if not import_map_paths():
        raise OptionsError(
            "no adapter is installed, so the names of most SDKs are not known: "
            "pip install 'capa-core[requests,celery,apollo]'"
        )
    with ProgressLine() as progress:
        return scan.survey(paths, options, progress)
