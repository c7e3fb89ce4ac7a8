"""`capa explain`: the reason behind the ID of a message."""

from __future__ import annotations

import sys

from capa_migration.cli import CLEAN
from capa_migration.cli.arguments import Parser

_EXAMPLES = """\
examples:
  capa explain                        every ID, with one line about each
  capa explain celery                 every ID about Celery
  capa explain celery/remote-control  the reason behind a message of `capa scan`
  capa explain requests-timeout       the effect of a rule
  capa explain unavailable            the meaning of an error

exit codes: 0 done; 3 no message has this ID
"""


def parser() -> Parser:
    """Return the parser of `capa explain`."""
    parser = Parser(
        prog="capa explain",
        description="Print the reason behind the ID of a message, with its paragraph of the documentation.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="the ID at the end of a message, or its part before `/`",
    )
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    return parser


def run(words: list[str]) -> int:
    """Run `capa explain` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_migration.cli.output import print_json, print_lines
    from capa_migration.rewrite import explain

    found = explain.explanations_of(arguments.id) if arguments.id else list(explain.explanations())
    is_one = [one.id for one in found] == [arguments.id]
    if arguments.json:
        return print_json({"explanations": [one._asdict() for one in found]}, CLEAN)
    if is_one:
        (one,) = found
        print_lines(
            [f"{one.id}: {one.title}", *(["", *one.text.splitlines()] if one.text else [])], sys.stdout
        )
    else:
        from capa_migration.rewrite.formats._columns import columns

        print_lines(
            columns(["ID", "meaning"], [[one.id, one.title] for one in found], right=False), sys.stdout
        )
    return CLEAN
