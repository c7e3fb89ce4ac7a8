"""`capa migrate check|diff|apply|undo|status`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED, WOULD_CHANGE
from capa_migration.cli.arguments import Parser
from capa_migration.cli.output import add_options, add_paths, as_words, show
from capa_migration.errors import OptionsError
from capa_migration.plan import Plan, make
from capa_migration.target import Options

if TYPE_CHECKING:
    from capa_migration.apply import Done
    from capa_migration.report import Command, Report
    from capa_migration.scan.sites import Survey

_EXAMPLES = """\
examples:
  capa migrate check .                      exit code 1 if anything would change
  capa migrate diff src --patch capa.patch  a patch that `git apply` takes
  capa migrate apply . --only imports       one rule alone
  capa migrate apply . -i                   ask about each file
  capa migrate apply . --commit             a commit for each rule
  capa migrate undo .                       byte for byte what was there before

exit codes: 0 nothing to do, or all done; 1 something would change; 2 failed on some files; 3 wrong usage
"""


def run(words: list[str]) -> int:
    """Run `capa migrate` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    if getattr(arguments, "list_rules", False):
        return _list_rules()
    action: Callable[[argparse.Namespace], int] = arguments.action
    return action(arguments)


def parser() -> Parser:
    """Return the parser of `capa migrate`."""
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
        if name in {"check", "diff", "apply"}:
            add_paths(one)
            _add_options(one)
            add_options(one)
        else:
            one.add_argument(
                "path", nargs="?", default=".", metavar="PATH", help="a folder or a file; here by default"
            )
            one.add_argument("--json", action="store_true", help="print data instead of text")
        if name == "undo":
            one.add_argument(
                "--to",
                type=int,
                metavar="N",
                help="the newest and those before it, down to number N of `status`",
            )
        if name == "diff":
            _add_patch_options(one)
        if name == "apply":
            _add_apply_options(one)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", action="append", default=[], metavar="RULE", help="run this rule; may be repeated"
    )
    parser.add_argument(
        "--skip", action="append", default=[], metavar="RULE", help="do not run it; may be repeated"
    )
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        metavar="RULE",
        dest="asked",
        help="run this rule too, which changes more than names; may be repeated",
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATH", help="leave this folder or file out"
    )
    parser.add_argument(
        "--notes", action="store_true", help="show what was seen and is probably right as it is"
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


def _plan(arguments: argparse.Namespace, *, remember: bool) -> Plan:
    from capa_migration.cli.terminal import ProgressLine

    progress = ProgressLine()
    try:
        return make(arguments.paths, _options(arguments), remember=remember, progress=progress)
    finally:
        progress.close()


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        only=_split(arguments.only),
        skip=_split(arguments.skip),
        exclude=tuple(arguments.exclude),
        asked=_split(arguments.asked),
    )


def _split(values: list[str]) -> tuple[str, ...]:
    return tuple(name for value in values for name in value.split(",") if name)


def _check(arguments: argparse.Namespace) -> int:
    return show(_report("check", arguments, _plan(arguments, remember=True)), arguments)


def _diff(arguments: argparse.Namespace) -> int:
    _refuse_lone_split(arguments, "patch")
    # A run that only looks must not decide what the next one skips.
    plan = _plan(arguments, remember=False)
    report = _report("diff", arguments, plan)
    if arguments.patch:
        from capa_migration.cli.patch import write_patches

        write_patches(plan, arguments.patch, arguments.split_by)
    if arguments.format != "text":
        return show(report, arguments)
    if not arguments.patch:
        show(report, arguments)
    from capa_migration.report import lines, summary

    print(f"{summary(plan, 'would change')}.", file=sys.stderr)
    for line in lines(Plan(plan.root, 0, plan.failures), notes=False):
        print(line, file=sys.stderr)
    return report.exit_code


def _apply(arguments: argparse.Namespace) -> int:
    _refuse_lone_split(arguments, "commit")
    choose = None
    if arguments.interactive:
        from capa_migration.cli import interactive

        interactive.require_terminal()
        choose = interactive.choose
    if arguments.commit:
        done = _commit(arguments, choose)
    else:
        from capa_migration.apply import apply

        done = apply(
            arguments.paths, partial(_plan, arguments), allow_dirty=arguments.allow_dirty, choose=choose
        )
    report = _report("apply", arguments, done.plan, done)
    if done.result and done.result.written:
        from capa_migration.history import remember

        remember(arguments.paths, lambda: report.survey, "apply", exclude=arguments.exclude)
    return show(report, arguments)


def _commit(arguments: argparse.Namespace, choose: Callable[[Plan], Plan] | None) -> Done:
    from capa_migration import commits

    plan = _plan(arguments, remember=False)
    commits.refuse(plan.root, plan)
    if arguments.split_by:
        steps = commits.by_part(plan, arguments.split_by)
    else:
        steps = commits.by_rule(plan, lambda rule: partial(_plan, _with_only(arguments, rule)))
    return commits.carry_out(plan.root, plan, steps, choose)


def _with_only(arguments: argparse.Namespace, rule: str) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), "only": [rule]})


def _refuse_lone_split(arguments: argparse.Namespace, needed: str) -> None:
    if arguments.split_by and not getattr(arguments, needed):
        raise OptionsError(f"--split-by says how to cut what --{needed} writes: give --{needed} too")


def _report(command: Command, arguments: argparse.Namespace, plan: Plan, done: Done | None = None) -> Report:
    from capa_migration.report import Report

    failed = plan.failures or (done is not None and done.troubles)
    would_change = done is None and plan.of("changed")
    return Report(
        command,
        as_words(arguments.paths),
        FAILED if failed else WOULD_CHANGE if would_change else CLEAN,
        plan=lambda: plan,
        survey=lambda: _survey(arguments),
        everything=arguments.notes,
        done=done,
    )


def _survey(arguments: argparse.Namespace) -> Survey:
    from capa_migration.cli.scan import survey

    return survey(arguments.paths, _options(arguments))


def _undo(arguments: argparse.Namespace) -> int:
    from capa_migration.cli.rewrites import undo

    return undo(arguments)


def _status(arguments: argparse.Namespace) -> int:
    from capa_migration.cli.rewrites import status

    return status(arguments)


def _list_rules() -> int:
    from capa_codemods.errors import RuleError
    from capa_codemods.rules import offers

    code = CLEAN
    for offer in offers():
        try:
            rule = offer.load()
        except RuleError as error:
            print(f"{offer.id:<18} {error}")
            code = FAILED
        else:
            asked = " (only with --with)" if rule.changes_shape else ""
            print(f"{rule.id:<18} {rule.summary}{asked}")
    return code
