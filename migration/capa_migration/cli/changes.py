"""`capa migrate check|diff|apply`: plan a rewrite, show it or apply it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED, WOULD_CHANGE
from capa_migration.cli.output import output_of, print_lines, require_output_folder, shell_words, show
from capa_migration.errors import OptionsError
from capa_migration.rewrite.plan import Plan, make
from capa_migration.rewrite.target import Options

if TYPE_CHECKING:
    from capa_migration.rewrite.apply import MakePlan, RunResult
    from capa_migration.rewrite.report import Command, Report
    from capa_migration.rewrite.scan.sites import Survey


def check(arguments: argparse.Namespace) -> int:
    """Carry out `capa migrate check` and return its exit code."""
    return show(_report("check", arguments, _plan(arguments, remember=True)), arguments)


def diff(arguments: argparse.Namespace) -> int:
    """Carry out `capa migrate diff` and return its exit code."""
    _refuse_lone_split(arguments, "patch")
    # A run that only shows changes must not decide which files the next one skips.
    plan = _plan(arguments, remember=False)
    report = _report("diff", arguments, plan)
    if arguments.patch:
        from capa_migration.cli.patch import write_patches

        write_patches(plan, arguments.patch, arguments.split_by)
    if arguments.format != "text":
        return show(report, arguments)
    if not arguments.patch:
        show(report, arguments)
    print_lines(_lines_beside_patch(plan, notes=arguments.notes), sys.stderr)
    return report.exit_code


def apply(arguments: argparse.Namespace) -> int:
    """Carry out `capa migrate apply` and return its exit code."""
    _refuse_lone_split(arguments, "commit")
    require_output_folder(arguments)
    choose = None
    if arguments.interactive:
        from capa_migration.cli import interactive

        interactive.require_terminal()
        choose = interactive.choose
    done = _commit(arguments, choose) if arguments.commit else _write(arguments, choose)
    report = _report("apply", arguments, done.plan, done)
    with output_of(_change(done, arguments)):
        return show(report, arguments)


def _change(done: RunResult, arguments: argparse.Namespace) -> str:
    """Return the change of a run with the way to undo it; empty if nothing was written."""
    if not done.written:
        return ""
    from capa_migration.rewrite.report import count

    undo = f"`capa migrate undo {shell_words(arguments.paths)}` undoes it"
    if done.commits:
        undo = f"made {count(len(done.commits), 'commit')}, which `git revert` undoes"
    return f"{count(len(done.written), 'file')} rewritten; {undo}"


def _lines_beside_patch(plan: Plan, *, notes: bool) -> Iterator[str]:
    """Yield the lines that a patch cannot hold: failures, findings and the counts, also of what was not looked at."""
    from capa_migration.rewrite.install_note import note_of_plan
    from capa_migration.rewrite.passed_over import line_of
    from capa_migration.rewrite.report import lines, summary

    left = [outcome._replace(changes=()) for outcome in plan.outcomes]
    yield from lines(Plan(plan.root, 0, left), notes=notes)
    yield f"{summary(plan, 'would change', notes=notes)}."
    if line := line_of(plan.passed_over, notes=notes):
        yield f"{line}."
    if note := note_of_plan(plan):
        yield note


def _write(arguments: argparse.Namespace, choose: Callable[[Plan], Plan] | None) -> RunResult:
    from capa_migration.cli.terminal import ProgressLine
    from capa_migration.rewrite.apply import apply as write

    with ProgressLine() as progress:
        return write(
            arguments.paths,
            partial(_plan, arguments),
            allow_dirty=arguments.allow_dirty,
            choose=choose,
            progress=progress,
        )


def _commit(arguments: argparse.Namespace, choose: Callable[[Plan], Plan] | None) -> RunResult:
    from capa_migration.rewrite import commits

    plan = _plan(arguments, remember=False)
    commits.require_committable(plan.root, plan)
    if arguments.split_by:
        steps = commits.by_part(plan, arguments.split_by)
    else:
        steps = commits.by_rule(plan, partial(_make_plan_for, arguments))
    return commits.carry_out(plan.root, plan, steps, choose)


def _make_plan_for(arguments: argparse.Namespace, rule: str, others: Sequence[str]) -> MakePlan:
    chosen = {"only": [rule], "skip": list(others)}
    return partial(_plan, argparse.Namespace(**{**vars(arguments), **chosen}))


def _refuse_lone_split(arguments: argparse.Namespace, needed: str) -> None:
    if arguments.split_by and not getattr(arguments, needed):
        raise OptionsError(f"--split-by cuts the output of --{needed}: give --{needed} too")


def _report(
    command: Command, arguments: argparse.Namespace, plan: Plan, done: RunResult | None = None
) -> Report:
    from capa_migration.rewrite.report import Report

    return Report(
        command,
        shell_words(arguments.paths),
        _exit_code(plan, done, is_strict=arguments.strict),
        plan=lambda: plan,
        survey=lambda: _survey(arguments),
        everything=arguments.notes,
        done=done,
    )


def _exit_code(plan: Plan, done: RunResult | None, *, is_strict: bool) -> int:
    if plan.failures or (done is not None and done.troubles) or (is_strict and plan.has_warnings()):
        return FAILED
    if done is None and (plan.of("changed") or plan.has_warnings(blocking=True)):
        return WOULD_CHANGE
    return CLEAN


def _survey(arguments: argparse.Namespace) -> Survey:
    from capa_migration.cli.scan import survey

    return survey(arguments.paths, _options(arguments))


def _plan(arguments: argparse.Namespace, *, remember: bool) -> Plan:
    from capa_migration.cli.terminal import ProgressLine

    with ProgressLine() as progress:
        return make(arguments.paths, _options(arguments), remember=remember, progress=progress)


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        only=_split(arguments.only),
        skip=_split(arguments.skip),
        exclude=tuple(arguments.exclude),
        asked=_split(arguments.asked),
        sdks=_split(arguments.sdk),
        pass_over=arguments.pass_over,
    )


def _split(values: list[str]) -> tuple[str, ...]:
    return tuple(name for value in values for name in value.split(",") if name)
