"""`capa migrate check|diff|apply|undo|status|drain`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.output import add_exclude, add_options, add_paths, add_sdk, print_json

_EXAMPLES = """\
examples:
  capa migrate check .                      exit code 1 if anything would change
  capa migrate diff src --patch capa.patch  a patch for `git apply`
  capa migrate apply . --only imports       one rule alone
  capa migrate apply . -i                   ask about each file
  capa migrate apply . --commit             a commit for each rule
  capa migrate undo .                       restore every byte of the originals
  capa migrate drain redis://old:6379/0     move waiting tasks, when a fleet has moved

exit codes: 0 nothing to do, or all done; 1 something would change, or must be changed by hand; 2 failed on some files,
or warned with --strict; 3 wrong usage
"""
_DRAIN = "drain"
_ACTIONS = {
    "check": "list the changes, and exit with 1 if there is anything to change",
    "diff": "print the changes as a unified diff",
    "apply": "make the changes: each file proven, all undoable",
    "undo": "undo the newest rewrite",
    "status": "list the rewrites that were applied, and whether a run was cut short",
    _DRAIN: "move what waits in a broker of Celery's into the engine of capa.toml",
}
_PLANNED = ("check", "diff", "apply")


def run(words: list[str]) -> int:
    """Run `capa migrate` with *words* and return its exit code."""
    arguments = parser(words[0] if words and words[0] in _ACTIONS else None).parse_args(words)
    if getattr(arguments, "list_rules", False):
        return _list_rules(as_json=arguments.format == "json")
    actions = import_module(f"capa_migration.cli.{_module_of(arguments.action)}")
    code: int = getattr(actions, arguments.action)(arguments)
    return code


def _module_of(action: str) -> str:
    return _DRAIN if action == _DRAIN else "changes" if action in _PLANNED else "rewrites"


def parser(action: str | None = None) -> Parser:
    """Return the parser of `capa migrate`, or as much of it as *action* needs."""
    parser = Parser(
        prog="capa migrate",
        description="Rewrite a project to Capa, and move what waits in its broker.",
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    for name in [action] if action else _ACTIONS:
        summary = _ACTIONS[name]
        if name == _DRAIN:
            from capa_migration.cli import drain

            drain.add_to(actions, summary)
            continue
        one = actions.add_parser(
            name,
            help=summary,
            description=summary.capitalize() + ".",
            epilog=f"example:\n  capa migrate {name} .",
        )
        one.set_defaults(action=name)
        _add_arguments(one, name)
    return parser


def _add_arguments(parser: argparse.ArgumentParser, action: str) -> None:
    add_paths(parser)
    if action in _PLANNED:
        _add_options(parser)
        add_options(parser)
    else:
        parser.add_argument("--json", action="store_true", help="print data instead of text")
    if action == "undo":
        newest = "the newest and those before it, down to number N of `status`"
        parser.add_argument("--to", type=int, metavar="N", help=newest)
    if action == "diff":
        _add_patch_options(parser)
    if action == "apply":
        _add_apply_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", action="append", default=[], metavar="RULE", help="run this rule; may be repeated"
    )
    parser.add_argument(
        "--skip", action="append", default=[], metavar="RULE", help="leave this rule out; may be repeated"
    )
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        metavar="RULE",
        dest="asked",
        help="run this rule too, which changes more than names; may be repeated",
    )
    add_exclude(parser)
    add_sdk(parser)
    parser.add_argument(
        "--notes", action="store_true", help="show notes too: findings that probably need no change"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 2 if there is a warning")
    parser.add_argument(
        "--pass-over",
        action="store_true",
        help="named files that no rule reads are no failure, as for a hook",
    )
    parser.add_argument("--list-rules", action="store_true", help="show the rules and exit")


def _add_patch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patch", metavar="FILE", help="write the patch to this file, whole or not at all")
    parser.add_argument(
        "--split-by",
        choices=["owner", "folder"],
        help="with --patch: FILE-<owner> for each owner, or top folder",
    )


def _add_apply_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--interactive", "-i", action="store_true", help="show each file's diff and ask")
    dirty = parser.add_mutually_exclusive_group()
    dirty.add_argument("--allow-dirty", action="store_true", help="also if git has uncommitted changes")
    dirty.add_argument("--commit", action="store_true", help="make a commit for each rule; no hook runs")
    parser.add_argument(
        "--split-by", choices=["owner", "folder"], help="with --commit: one for each owner, or top folder"
    )


def _list_rules(*, as_json: bool) -> int:
    rules = list(_rules())
    code = FAILED if any(one["problem"] for one in rules) else CLEAN
    if as_json:
        return print_json({"rules": rules}, code)
    for one in rules:
        asked = " (only with --with)" if one["only_with"] else ""
        print(f"{one['id']:<18} {one['problem'] or one['summary']}{asked}")
    return code


def _rules() -> Iterator[dict[str, Any]]:
    """Yield each rule as data: `problem` says why it cannot be loaded, `only_with` whether it must be asked for."""
    from capa_codemods.api import RuleError, rule_offers

    for offer in rule_offers():
        try:
            rule = offer.load()
        except RuleError as error:
            yield {"id": offer.id, "summary": None, "only_with": False, "problem": str(error)}
        else:
            yield {"id": rule.id, "summary": rule.summary, "only_with": rule.changes_shape, "problem": None}
