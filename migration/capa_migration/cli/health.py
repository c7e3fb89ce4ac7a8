"""`capa health`: whether every component answers, as an exit code for orchestrators."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, USAGE
from capa_migration.cli.arguments import Parser

if TYPE_CHECKING:
    from capa_core.health import Health

UNHEALTHY = 1
_EXAMPLES = """\
examples:
  capa health
  capa health --profile production --timeout 2
  capa health --json                 as GET /health of capa_core.health shows it

Run it in the folder where the application starts: capa.toml is searched from there. It asks the engines, not the
running program; `capa doctor` shows settings, limits and risks too.
exit codes: 0 every component answers; 1 one does not; 3 capa.toml is wrong
"""


def parser() -> Parser:
    """Return the parser of `capa health`."""
    description = "Ask the engine of every component, and tell by the exit code whether all answer."
    parser = Parser(prog="capa health", description=description, epilog=_EXAMPLES)
    parser.add_argument("--profile", metavar="NAME", help="the profile of capa.toml")
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for answers; 10 by default"
    )
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    return parser


def run(words: list[str]) -> int:
    """Run `capa health` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_core import Runtime
    from capa_core.errors import InvalidArgumentError
    from capa_core.health import Checker

    try:
        with Runtime(profile=arguments.profile, reports=False) as runtime:
            health = Checker(runtime, timeout=arguments.timeout).check()
    except InvalidArgumentError as error:
        print(f"capa health: {error}", file=sys.stderr)
        return USAGE
    code = CLEAN if health.healthy else UNHEALTHY
    if arguments.json:
        from capa_migration.cli.output import print_json

        return print_json(health.as_data(), code)
    _print(health)
    return code


def _print(health: Health) -> None:
    for each in health.components:
        mark = "ok" if each.healthy else "FAILS" if each.needed else "fails, not needed"
        print(f"{mark}: {each.block} {each.name} ({each.driver}): {each.said}")
    print("healthy" if health.healthy else "not healthy: `capa doctor` shows which setting leads there")
