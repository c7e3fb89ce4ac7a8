"""`capa run`: run an unmodified application on the adapters, as a trial."""

from __future__ import annotations

import sys

from capa_migration.cli import USAGE
from capa_migration.cli.arguments import Parser
from capa_migration.cli.output import add_sdk
from capa_migration.rewrite.target import Options, Target, require_known

_EXAMPLES = """\
examples:
  capa run -- python app.py
  capa run -- python -m proj.server --port 8000
  capa run -- celery -A proj worker
  capa run -- pytest

Nothing is written. Imports in files of the project come from the adapters, in child processes too; all other code gets
the originals. exit code: that of the command; 3 wrong usage
"""


def parser() -> Parser:
    """Return the parser of `capa run`, for the words before `--`."""
    parser = Parser(
        prog="capa run", description="Run an unmodified application on Capa, as a trial.", epilog=_EXAMPLES
    )
    parser.usage = "capa run [--root PATH] [--sdk MODULE] -- COMMAND ..."
    parser.add_argument(
        "--root", default=".", metavar="PATH", help="the project; around the current folder by default"
    )
    add_sdk(parser)
    return parser


def run(words: list[str]) -> int:
    """Run `capa run` with *words*; on success it does not return: the process becomes the application."""
    own, command = _split(words)
    arguments = parser().parse_args(own)
    if not command:
        print("capa run: no command is given: write `capa run -- python app.py`", file=sys.stderr)
        return USAGE
    from capa_codemods.api import Names, import_map_paths, read_import_map
    from capa_migration.live.trial.launch import launch

    root = Target(arguments.root).root
    sdks = Options(sdks=tuple(arguments.sdk)).filled(root).sdks
    require_known(sdks, Names(map(read_import_map, import_map_paths())))
    print(
        f"capa run: a trial: the imports of {root} come from Capa's adapters; nothing is written",
        file=sys.stderr,
    )
    launch(root, command, sdks)
    return USAGE  # not reached: `launch` becomes the command or raises


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" in words:
        at = words.index("--")
        return words[:at], words[at + 1 :]
    return words, []
