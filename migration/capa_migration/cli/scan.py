"""`capa scan`: list the SDKs that a project uses, and each place."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.output import add_exclude, add_options, add_paths, add_sdk, shell_words, show, write
from capa_migration.rewrite.target import Options, by_project

if TYPE_CHECKING:
    from capa_migration.rewrite.scan.sites import Survey

_EXAMPLES = """\
examples:
  capa scan .                 the numbers, and every place that Capa does not serve in full
  capa scan . --all           every place
  capa scan . --json > scan.json
  capa scan ../shop ../billing     several repositories: a row for each, and the total
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
    add_sdk(parser)
    add_options(parser)
    return parser


def run(words: list[str]) -> int:
    """Run `capa scan` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_migration.rewrite import history
    from capa_migration.rewrite.plan import make
    from capa_migration.rewrite.report import Report

    options = Options(exclude=tuple(arguments.exclude), sdks=tuple(arguments.sdk))
    groups = by_project(arguments.paths)
    if len(groups) > 1:
        return _several(groups, options, arguments)
    (paths,) = groups
    found = survey(paths, options)
    history.remember(paths, found, "scan", exclude=arguments.exclude)
    return show(
        Report(
            "scan",
            shell_words(paths),
            FAILED if found.unread else CLEAN,
            plan=lambda: make(paths, options, remember=False),
            survey=lambda: found,
            everything=arguments.all,
        ),
        arguments,
    )


def _several(groups: Sequence[Sequence[str]], options: Options, arguments: argparse.Namespace) -> int:
    """Report on several projects, the paths of each in a group, and return the exit code."""
    from capa_migration.rewrite import formats, history
    from capa_migration.rewrite.projects import Several, named

    render = formats.load_several(arguments.format)  # before the scans: not every format has one
    found = [survey(paths, options) for paths in groups]
    for paths, one in zip(groups, found, strict=True):
        history.remember(paths, one, "scan", exclude=arguments.exclude)
    code = FAILED if any(one.unread for one in found) else CLEAN
    write(render(Several(named(map(shell_words, groups), found), code)), arguments)
    return code


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
        from capa_core.installing import extra_command

        raise OptionsError(
            "no adapter is installed, so the names of most SDKs are not known: "
            f"{extra_command('requests', 'celery', 'apollo')}"
        )
    with ProgressLine() as progress:
        return scan.survey(paths, options, progress)
