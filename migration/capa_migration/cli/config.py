"""`capa config get|set|diff|pull`: read, write and compare configuration, and bring that of an Apollo server."""

from __future__ import annotations

from capa_migration.cli import config_copies, config_pull, config_sync, config_values
from capa_migration.cli.arguments import Parser

_EXAMPLES = """\
examples:
  capa config get                                      all keys of the group `application`, and where they come from
  capa config get db.url --group limits.json           some keys of a document
  capa config set orders.timeout=3 --profile prod      write a key to the engine of a profile
  capa config diff --profile staging --with-profile prod
  capa config push --from-component files --component apollo --dry-run
  capa config history --group limits.json
  capa config sync --component apollo --with-component redis
  capa config pull --from-apollo http://apollo:8080 --app-id shop

Run it in the folder where the application starts: capa.toml is searched from there.
`capa config ACTION --help` shows the options and exit codes of each.
"""


def parser() -> Parser:
    """Return the parser of `capa config`."""
    parser = Parser(
        prog="capa config",
        description="Read, write, compare and copy configuration, and keep two stores equal.",
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    config_values.add_actions(actions)
    config_copies.add_actions(actions)
    config_sync.add_action_sync(actions)
    config_pull.add_action(actions)
    return parser


def run(words: list[str]) -> int:
    """Run `capa config` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    return int(arguments.run(arguments))
