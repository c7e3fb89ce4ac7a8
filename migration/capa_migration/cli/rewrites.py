"""`capa migrate undo|status`: the rewrites in the journal of a tree."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.output import output_of, print_json, print_lines, shell_words
from capa_migration.cli.terminal import ProgressLine
from capa_migration.rewrite import report
from capa_migration.rewrite.apply import RunResult
from capa_migration.rewrite.apply import undo as undo_rewrites
from capa_migration.rewrite.status import RewriteStatus, restored
from capa_migration.rewrite.status import status as read_status
from capa_migration.rewrite.unjournaled import Unjournaled, unjournaled


def undo(arguments: argparse.Namespace) -> int:
    """Carry out `capa migrate undo` and return its exit code."""
    with ProgressLine() as progress:
        done = undo_rewrites(arguments.paths, down_to=arguments.to, progress=progress)
    again = f"`capa migrate apply {shell_words(arguments.paths)}` makes the rewrite again"
    restored = f"{report.count(len(done.written), 'file')} restored; {again}"
    lost = unjournaled(done.plan.root) if done.result is None else None
    with output_of(restored if done.written else ""):
        return _print_undo(done, lost, as_json=arguments.json)


def _print_undo(done: RunResult, lost: Unjournaled | None, *, as_json: bool) -> int:
    """Print the outcome; *lost* are the files that no undo restores, where there is no rewrite in the journal."""
    paths = lost.paths if lost else ()
    code = FAILED if done.troubles or paths else CLEAN
    if as_json:
        result = report.result_data(done.result)
        return print_json({"root": done.plan.root, "result": result, "unjournaled": paths}, code)
    if lost and lost.paths:
        print(f"{lost.root}: nothing was undone: {lost.reason}. Next: {lost.next_step}.")
        return code
    if done.result is None:
        print(f"{done.plan.root}: nothing to undo: its journal holds no rewrite")
        return code
    print_lines(report.result_lines([done.result]), sys.stdout)
    if not (done.result.written or done.troubles):
        print("nothing to restore: all files hold the original again")
        return code
    print(f"{report.count(len(done.result.written), 'file')} restored.")
    return code


def status(arguments: argparse.Namespace) -> int:
    """Carry out `capa migrate status` and return its exit code."""
    root, rewrites = read_status(arguments.paths)
    lost = unjournaled(root) if not rewrites else None
    if arguments.json:
        listed = [one._asdict() for one in rewrites]
        return print_json(
            {"root": root, "rewrites": listed, "unjournaled": lost.paths if lost else ()}, CLEAN
        )
    paths = shell_words(arguments.paths)
    if lost and lost.paths:
        print(f"{root}: {lost.reason}. Next: {lost.next_step}.")
        return CLEAN
    if not rewrites:
        print(f"{root}: no rewrite has been applied. Next: `capa migrate check {paths}`.")
        return CLEAN
    for one in rewrites:
        print(_line(one))
        if one.as_written != one.files:
            print(f"      {_fates(one)}")
    if step := _next_step(rewrites, f"capa migrate undo {paths}"):
        print(step)
    return CLEAN


def _next_step(rewrites: Sequence[RewriteStatus], command: str) -> str:
    if any(one.state != "applied" for one in rewrites):
        return f"A run was cut short. Next: `{command}` or apply again: either undoes it."
    if back := restored(rewrites):
        which = f"rewrite {back[0].number}" if len(back) == 1 else f"the newest {len(back)} rewrites"
        words = command if len(back) == 1 else f"{command} --to {back[0].number}"
        return f"All files of {which} hold the original again. Next: `{words}` clears the journal."
    if len(rewrites) > 1:
        return f"`{command}` undoes the newest, `{command} --to {rewrites[0].number}` all of them."
    return ""


def _line(one: RewriteStatus) -> str:
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.begun))
    rules = ", ".join(one.rules)
    return f"{one.number:04}  {one.state:<9} {begun}  {report.count(one.files, 'file')}  {rules}".rstrip()


def _fates(one: RewriteStatus) -> str:
    fates = {
        "as written": one.as_written,
        "edited since": one.edited,
        "the original again": one.original,
        "gone": one.gone,
    }
    return ", ".join(f"{number:,} {fate}" for fate, number in fates.items() if number)
