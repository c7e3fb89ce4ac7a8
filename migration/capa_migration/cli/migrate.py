"""`capa migrate check|diff|apply|undo|status`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from capa_migration.cli import CLEAN, FAILED, WOULD_CHANGE
from capa_migration.cli.arguments import Parser
from capa_migration.plan import Plan, make
from capa_migration.target import Options

_EXAMPLES = """\
examples:
  capa migrate check .                      exit code 1 if anything would change
  capa migrate diff src > capa.patch        a patch that `git apply` takes
  capa migrate apply . --only imports       one rule alone
  capa migrate undo .                       byte for byte what was there before

exit codes: 0 nothing to do, or all done; 1 something would change; 2 failed on some files; 3 wrong usage
"""


def run(words: list[str]) -> int:
    """Run `capa migrate` with *words* and return its exit code."""
    arguments = _parser().parse_args(words)
    if getattr(arguments, "list_rules", False):
        return _list_rules()
    action: Callable[[argparse.Namespace], int] = arguments.action
    return action(arguments)


def _parser() -> Parser:
    parser = Parser(prog="capa migrate", description="Rewrite a project to Capa.", epilog=_EXAMPLES)
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    for name, action, says in (
        ("check", _check, "say what would change, and exit with 1 if anything would"),
        ("diff", _diff, "print the changes as a unified diff"),
        ("apply", _apply, "make the changes, each file proven, all of them undoable"),
        ("undo", _undo, "take the newest rewrite back"),
        ("status", _status, "say what has been applied, and whether a run was cut short"),
    ):
        one = actions.add_parser(
            name, help=says, description=says.capitalize() + ".", epilog=f"example:\n  capa migrate {name} ."
        )
        one.set_defaults(action=action)
        one.add_argument(
            "path", nargs="?", default=".", metavar="PATH", help="a folder or a file; here by default"
        )
        one.add_argument("--json", action="store_true", help="print data instead of text")
        if name in {"check", "diff", "apply"}:
            _add_options(one)
        if name == "apply":
            one.add_argument("--allow-dirty", action="store_true", help="also if git has uncommitted changes")
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", action="append", default=[], metavar="RULE", help="run this rule; may be repeated"
    )
    parser.add_argument(
        "--skip", action="append", default=[], metavar="RULE", help="do not run it; may be repeated"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATH", help="leave this folder or file out"
    )
    parser.add_argument(
        "--notes", action="store_true", help="show what was seen and is probably right as it is"
    )
    parser.add_argument("--list-rules", action="store_true", help="show the rules and exit")


def _plan(arguments: argparse.Namespace, *, remember: bool) -> Plan:
    from capa_migration.cli.terminal import ProgressLine

    options = Options(
        only=_split(arguments.only), skip=_split(arguments.skip), exclude=tuple(arguments.exclude)
    )
    progress = ProgressLine()
    try:
        return make(arguments.path, options, remember=remember, progress=progress)
    finally:
        progress.close()


def _split(values: list[str]) -> tuple[str, ...]:
    return tuple(name for value in values for name in value.split(",") if name)


def _check(arguments: argparse.Namespace) -> int:
    plan = _plan(arguments, remember=True)
    code = _code(plan)
    if not arguments.json and plan.is_clean and not plan.outcomes:
        print(f"nothing to do in {plan.seen:,} files")
        return code
    from capa_migration import report

    if arguments.json:
        return _print_json({**report.plan_data(plan), "exit": code}, code)
    for line in report.lines(plan, notes=arguments.notes):
        print(line)
    print(f"{report.summary(plan, 'would change')}.")
    if plan.of("changed"):
        print(
            f"Next: `capa migrate diff {arguments.path}` shows it, `capa migrate apply {arguments.path}` does it."
        )
    return code


def _diff(arguments: argparse.Namespace) -> int:
    from capa_migration import report
    from capa_migration.cli.terminal import coloured_diff, has_colour

    # A run that only looks must not decide what the next one skips.
    plan = _plan(arguments, remember=False)
    code = _code(plan)
    if arguments.json:
        return _print_json({**report.plan_data(plan), "exit": code}, code)
    paint = coloured_diff if has_colour(sys.stdout) else bytes
    sys.stdout.flush()
    for piece in report.diff(plan):
        sys.stdout.buffer.write(paint(piece))
    sys.stdout.buffer.flush()
    print(f"{report.summary(plan, 'would change')}.", file=sys.stderr)
    for line in report.lines(Plan(plan.root, 0, plan.of("failed")), notes=False):
        print(line, file=sys.stderr)
    return code


def _apply(arguments: argparse.Namespace) -> int:
    from capa_migration import report
    from capa_migration.apply import apply

    done = apply(arguments.path, lambda: _plan(arguments, remember=True), allow_dirty=arguments.allow_dirty)
    troubles = [
        *(done.recovered.troubles if done.recovered else ()),
        *(done.result.troubles if done.result else ()),
    ]
    code = FAILED if troubles or done.plan.of("failed") else CLEAN
    if arguments.json:
        data = {**report.plan_data(done.plan), "recovered": report.result_data(done.recovered)}
        return _print_json({**data, "result": report.result_data(done.result), "exit": code}, code)
    if done.recovered:
        print(
            f"an earlier run was cut short: {report.count(len(done.recovered.written), 'file')} taken back first"
        )
    for line in (
        *report.lines(done.plan, notes=arguments.notes),
        *report.result_lines([done.recovered, done.result]),
    ):
        print(line)
    written = set(done.result.written if done.result else ())
    kept = Plan(
        done.plan.root,
        done.plan.seen,
        [one for one in done.plan.outcomes if one.status != "changed" or one.path in written],
    )
    print(f"{report.summary(kept, 'changed')}.")
    if written:
        print(f"Next: run your tests; `capa migrate undo {arguments.path}` takes all of it back.")
    return code


def _undo(arguments: argparse.Namespace) -> int:
    from capa_migration import report
    from capa_migration.apply import undo

    done = undo(arguments.path)
    code = FAILED if done.result and done.result.troubles else CLEAN
    if arguments.json:
        return _print_json(
            {
                "schema": report.SCHEMA,
                "root": done.plan.root,
                "result": report.result_data(done.result),
                "exit": code,
            },
            code,
        )
    if done.result is None:
        print(f"{done.plan.root}: nothing to undo: no rewrite is in its journal")
        return code
    for line in report.result_lines([done.result]):
        print(line)
    print(f"{report.count(len(done.result.written), 'file')} restored.")
    return code


def _status(arguments: argparse.Namespace) -> int:
    from capa_migration import report
    from capa_migration.apply import status

    root, records = status(arguments.path)
    if arguments.json:
        return _print_json(
            {"schema": report.SCHEMA, "root": root, "rewrites": [record._asdict() for record in records]},
            CLEAN,
        )
    if not records:
        print(f"{root}: no rewrite has been applied. Next: `capa migrate check {arguments.path}`.")
    for record in records:
        print(f"{record.number:04}  {record.state:<9} {report.count(record.files, 'file')}")
    if any(record.state != "applied" for record in records):
        print(
            f"A run was cut short. Next: `capa migrate undo {arguments.path}` or apply again: either takes it back."
        )
    return CLEAN


def _list_rules() -> int:
    from capa_codemods.rules import all_rules

    for rule in all_rules():
        print(f"{rule.id:<14} {rule.summary}")
    return CLEAN


def _code(plan: Plan) -> int:
    if plan.of("failed"):
        return FAILED
    return WOULD_CHANGE if plan.of("changed") else CLEAN


def _print_json(data: dict[str, Any], code: int) -> int:
    import json

    print(json.dumps(data, indent=2))
    return code
