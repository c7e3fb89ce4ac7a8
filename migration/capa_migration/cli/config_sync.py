"""`capa config sync`: keep a group of two stores equal."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, WOULD_CHANGE
from capa_migration.cli.config_places import (
    add_action,
    add_other_side,
    hidden,
    opened,
    print_shown,
    require_component,
)
from capa_migration.cli.terminal import signals_to_end
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_migration.live.sync import Side, Step, Sync

_SYNC = """\
examples:
  capa config sync --component apollo --with-component redis
  capa config sync --profile old --with-profile new --group limits.json
  capa config sync --component apollo --with-component redis --once --dry-run

A change of either side goes to the other, until ctrl-C or SIGTERM. If both sides have changed a key since they were
equal, the later write wins, by the times that the stores have; in doubt the first side, and a value before a removal.
exit codes: 0 ended by a signal, or equal; 1 --dry-run: they differ; 2 --once: a store does not answer, or cannot write
it; 3 wrong usage, or capa.toml is wrong; 130 interrupted twice
"""
_POLL_S = 0.1
_LOOK_S = 5.0
_LONGEST_PAUSE_S = 10.0


def add_action_sync(actions: Any) -> None:
    """Add the action to the parser of `capa config`."""
    sync = add_action(actions, "sync", "keep a group of two stores equal", _SYNC, _sync)
    add_other_side(sync, "with")
    sync.add_argument("--once", action="store_true", help="make them equal, and end")
    sync.add_argument("--dry-run", action="store_true", help="show what would be written, and end")


def _sync(arguments: argparse.Namespace) -> int:
    from capa_core import Runtime
    from capa_migration.live.sync import Journal, Sync

    with ExitStack() as stack:
        sides = tuple(stack.enter_context(_side(arguments, other)) for other in ("", "with"))
        left, right = sides
        _check(left, right)
        folder = stack.enter_context(Runtime(profile=arguments.profile, reports=False)).own_folder() / "sync"
        journal = stack.enter_context(Journal.opened(folder, (left, right)))
        sync = Sync((left, right), journal)
        if arguments.dry_run or arguments.once:
            step = sync.step(dry=arguments.dry_run)
            _show(sync, step, arguments)
            return WOULD_CHANGE if arguments.dry_run and any(step.writes) else CLEAN
        return _keep_equal(sync, arguments)


@contextmanager
def _side(arguments: argparse.Namespace, other: str) -> Iterator[Side]:
    from capa_migration.live.sync import Side

    with opened(arguments, other=other) as (configuration, place):
        named = (getattr(arguments, "with_component", None) if other else None) or arguments.component
        require_component(configuration, named)
        yield Side(configuration, place)


def _check(left: Side, right: Side) -> None:
    from capa_core.blocks.configuration.formats import suffix_of

    if left.identity == right.identity:
        raise OptionsError(f"both sides are {left}: give an option --with-… that names another")
    if suffix_of(left.place.group) != suffix_of(right.place.group):
        raise OptionsError(f"{left.place.group} and {right.place.group} are of different kinds")


def _keep_equal(sync: Sync, arguments: argparse.Namespace) -> int:
    """Make both sides equal at each change, until a signal comes."""
    changed = threading.Event()
    changed.set()
    waits = ""
    watched: set[int] = set()
    next_look, pause_s = 0.0, _POLL_S
    with signals_to_end() as asked:
        print_shown([f"{sync.sides[0]} = {sync.sides[1]}"])
        sys.stdout.flush()
        while not asked:
            time.sleep(_POLL_S)
            if not changed.is_set() and time.monotonic() < next_look:
                continue
            changed.clear()
            problem = _attempt(sync, arguments, changed, watched)
            if problem and problem != waits:
                print(f"capa config sync: waits: {problem}", file=sys.stderr, flush=True)
            elif waits and not problem:
                print("capa config sync: goes on", file=sys.stderr, flush=True)
            waits = problem
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2) if problem else _POLL_S
            next_look = time.monotonic() + (pause_s if problem else _LOOK_S)
    return CLEAN


def _attempt(sync: Sync, arguments: argparse.Namespace, changed: threading.Event, watched: set[int]) -> str:
    """Make both sides equal; return the reason why that is not possible now, or `""`."""
    from capa_core import CapaError

    try:
        for number, side in enumerate(sync.sides):
            if number not in watched:
                side.configuration.watch(lambda _event: changed.set(), **side.place.scope())
                watched.add(number)
        _show(sync, sync.step(), arguments)
    except CapaError as error:
        return str(error)
    return ""


def _show(sync: Sync, step: Step, arguments: argparse.Namespace) -> None:
    """Print what was, or would be, written to each side."""
    rows = [
        {
            "to": str(side),
            "key": one.key,
            "old": hidden(one.key, one.old, arguments),
            "new": hidden(one.key, one.new, arguments),
            "conflict": one.key in step.conflicts,
        }
        for side, writes in zip(sync.sides, step.writes, strict=True)
        for one in writes
    ]
    if arguments.json:
        if rows or arguments.once or arguments.dry_run:
            _print_json(rows, arguments, step)
    else:
        print_shown(map(_line, rows))
        if not rows and (arguments.once or arguments.dry_run):
            print_shown(["the same"])
    sys.stdout.flush()


def _line(row: dict[str, Any]) -> str:
    value = "removed" if row["new"] is None else f"= {row['new']}"
    shown = row["key"] or "(text)"
    return f"{row['to']}: {shown} {value}" + (
        " (both had changed: the later one won)" if row["conflict"] else ""
    )


def _print_json(rows: list[dict[str, Any]], arguments: argparse.Namespace, step: Step) -> None:
    from capa_migration.rewrite.report import SCHEMA

    line: dict[str, Any] = {"schema": SCHEMA, "writes": rows}
    if arguments.once or arguments.dry_run:
        line["exit"] = WOULD_CHANGE if arguments.dry_run and any(step.writes) else CLEAN
    print(json.dumps(line), flush=True)
