"""`capa config push|history`: copy a group to another store, and look at its versions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, WOULD_CHANGE
from capa_migration.cli.config_places import (
    add_action,
    add_other_side,
    counted,
    hidden,
    opened,
    print_shown,
    require_component,
    show_changes,
    text_of,
)
from capa_migration.cli.output import output_of, print_json
from capa_migration.cli.terminal import confirms
from capa_migration.errors import OptionsError
from capa_migration.live.values import changes

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Revision
    from capa_migration.live.copies import Content

_PUSH = """\
examples:
  capa config push --from-component files --component apollo --dry-run
  capa config push --from-profile staging --profile prod --yes
  capa config push shop.properties --component apollo
  capa config push limits.json --group limits.json --profile prod

The difference is shown first, then you are asked; without a terminal, give --yes. Keys that only the target has stay,
unless --prune removes them. All is written in one step, and not at all if the target changes meanwhile.
exit codes: 0 done, not agreed to, or nothing to change; 1 --dry-run: there is a difference; 2 a store does not answer,
cannot write it, or has changed meanwhile; 3 wrong usage, or capa.toml is wrong
"""
_HISTORY = """\
examples:
  capa config history
  capa config history --group limits.json --profile prod --most 3

Redis, PostgreSQL, etcd, SQLite and memory keep the last 20 versions. Others say where theirs are.
exit codes: 0 done; 2 the store does not answer, or keeps no versions; 3 wrong usage, or capa.toml is wrong
"""


def add_actions(actions: Any) -> None:
    """Add the actions to the parser of `capa config`."""
    push = add_action(actions, "push", "copy a group, or a file, to a store", _PUSH, _push)
    push.add_argument("file", nargs="?", metavar="FILE", help="copy this file; - for standard input")
    add_other_side(push, "from")
    push.add_argument("--prune", action="store_true", help="remove keys that only the target has")
    push.add_argument("--dry-run", action="store_true", help="show the difference, and end")
    push.add_argument("--yes", action="store_true", help="do not ask")
    history = add_action(actions, "history", "show the versions of a group", _HISTORY, _history)
    history.add_argument(
        "--most", type=_positive, default=20, metavar="N", help="at most N versions; 20 by default"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) < 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 9999")
    return int(text)


def _push(arguments: argparse.Namespace) -> int:
    from capa_migration.live.copies import push

    source, named = _source(arguments)
    with opened(arguments) as (target, place):
        require_component(target, arguments.component)
        if (named, place.scope()) == (_named(arguments), _from_scope(arguments)):
            raise OptionsError("both sides are the same group: give FILE, or an option --from-…")
        found = push(source, target, place, prune=arguments.prune)
        if arguments.dry_run or not found.changes:
            code = WOULD_CHANGE if found.changes else CLEAN
            show_changes(found.changes, arguments, code, nothing=f"the same, {counted(len(source.values))}")
            return code
        if not arguments.json:
            show_changes(found.changes, arguments, CLEAN, nothing="")
            if found.staying:
                print_shown([f"({counted(len(found.staying))} that only {target.name} has stay)"])
        question = f"Write {counted(len(found.changes))} of {place.group} to {target.name} ({target.place})?"
        if not arguments.yes and not confirms(question, "push", "write"):
            print("nothing was written", file=sys.stderr)
            return CLEAN
        found.carry_out(target, place)
    with output_of(f"wrote {counted(len(found.changes))} of {place.group}"):
        if arguments.json:
            show_changes(found.changes, arguments, CLEAN, nothing="")
        else:
            print_shown([f"{counted(len(found.changes))} written to {target.name}"])
    return CLEAN


def _source(arguments: argparse.Namespace) -> tuple[Content, tuple[str | None, str]]:
    """Return the content to copy, and the profile and component that it is of; no component for a file."""
    from capa_migration.live.copies import Content

    given = [name for name in vars(arguments) if name.startswith("from_") and getattr(arguments, name)]
    if arguments.file is not None:
        if given:
            raise OptionsError(f"give FILE or --{given[0].replace('_', '-')}, not both; nothing was written")
        name = arguments.group if arguments.file == "-" else arguments.file
        return Content.of_file(text_of(arguments.file), name), (None, "")
    with opened(arguments, other="from") as (configuration, place):
        snapshot = configuration.snapshot(**place.scope())
        if not snapshot.version:
            raise OptionsError(f"{configuration.name} has no group {place.group}; nothing was written")
        return Content.of(snapshot), (arguments.from_profile or arguments.profile, configuration.name)


def _named(arguments: argparse.Namespace) -> tuple[str | None, str]:
    return arguments.profile, arguments.component


def _from_scope(arguments: argparse.Namespace) -> Mapping[str, str]:
    def named(option: str) -> str:
        return str(getattr(arguments, f"from_{option}") or getattr(arguments, option) or "")

    return {name: named(name) for name in ("application", "group", "label")}


def _history(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (configuration, place):
        found = configuration.history(**place.scope(), most=arguments.most + 1)
    pairs = zip_longest(found, found[1:])  # each with the one before it, the first of all with none
    rows = [_as_data(one, before, arguments) for one, before in pairs][: arguments.most]
    if arguments.json:
        return print_json({"group": place.group, "versions": rows}, CLEAN)
    if not rows:
        print_shown([f"{place.group} has no versions yet: it was not written since they are kept"])
    for row in rows:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["changed_at"]))
        print_shown([f"{when}  {row['version']}"])
        for each in row["changes"]:
            print_shown(
                f"  {sign}{each['key']} = {each[side]}"
                for sign, side in (("- ", "old"), ("+ ", "new"))
                if each[side] is not None
            )
    return CLEAN


def _as_data(one: Revision, before: Revision | None, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return a version with its changes from the one *before* as data for JSON."""
    found = changes(before.values if before else {}, one.values)
    rows = [
        {
            "key": each.key,
            "old": hidden(each.key, each.old, arguments),
            "new": hidden(each.key, each.new, arguments),
        }
        for each in found
    ]
    return {"version": one.version, "changed_at": one.changed_at, "changes": rows}
