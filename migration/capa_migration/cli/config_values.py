"""`capa config get|set|diff`: the values of a configuration component."""

from __future__ import annotations

import argparse
import sys
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
from capa_migration.errors import OptionsError
from capa_migration.live.values import Place, changes, origin, read

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration

_GET = """\
examples:
  capa config get
  capa config get db.url db.user --show-secrets
  capa config get --group limits.json --profile prod --json

Values whose keys look like secrets, and passwords in addresses, are shown as ********.
exit codes: 0 done; 1 a named key is not there; 2 the engine does not answer; 3 wrong usage, or capa.toml is wrong
"""
_SET = """\
examples:
  capa config set orders.timeout=3 orders.batch=50
  capa config set --delete orders.batch --profile prod
  capa config set --group limits.json --document limits.json

exit codes: 0 done, or nothing to change; 2 the engine does not answer, or cannot write it; 3 wrong usage, or
capa.toml is wrong
"""
_DIFF = """\
examples:
  capa config diff --profile staging --with-profile prod
  capa config diff --component files --with-component apollo --group application
  capa config diff --application shop --with-application shop2

What is not named with `--with-…` is the same on both sides.
exit codes: 0 the same; 1 keys differ; 2 an engine does not answer; 3 wrong usage, or capa.toml is wrong
"""


def add_actions(actions: Any) -> None:
    """Add the actions to the parser of `capa config`."""
    get = add_action(actions, "get", "show values, and where they come from", _GET, _get)
    get.add_argument("keys", nargs="*", metavar="KEY", help="these keys; all by default")
    change = add_action(actions, "set", "write values, or remove keys", _SET, _set)
    change.add_argument("values", nargs="*", metavar="KEY=VALUE", help="a key and its new value")
    change.add_argument(
        "--delete", action="append", default=[], metavar="KEY", help="remove this key; may be repeated"
    )
    change.add_argument(
        "--document", metavar="FILE", help="write this file as the whole of a document; - for standard input"
    )
    diff = add_action(actions, "diff", "compare two groups, components or profiles", _DIFF, _diff)
    add_other_side(diff, "with")


def _get(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (configuration, place):
        found = read(configuration, place, arguments.keys)
        source = origin(configuration, place)
    shown = {key: hidden(key, value, arguments) for key, value in found.items()}
    missing = [key for key in arguments.keys if key not in found]
    code = WOULD_CHANGE if missing else CLEAN
    if arguments.json:
        return print_json({"origin": source, "values": shown, "missing": missing}, code)
    print_shown(f"{key} = {value}" for key, value in shown.items())
    print_shown([f"({counted(len(found))} of {place.group}, from {source})"])
    for key in missing:
        print(f"capa config get: {place.group} has no key {key!r}", file=sys.stderr)
    return code


def _set(arguments: argparse.Namespace) -> int:
    new = dict(map(_key_and_value, arguments.values))
    if arguments.document and (new or arguments.delete):
        raise OptionsError("give keys, or --document, not both; nothing was written")
    if twice := sorted(new.keys() & set(arguments.delete)):
        raise OptionsError(f"{twice[0]!r} is to be written and to be deleted; nothing was written")
    if not (arguments.document or new or arguments.delete):
        raise OptionsError("give KEY=VALUE, --delete KEY or --document FILE")
    with opened(arguments) as (configuration, place):
        require_component(configuration, arguments.component)
        if arguments.document:
            return _set_document(configuration, place, arguments)
        old = read(configuration, place, [*new, *arguments.delete])
        found = list(changes(old, new))
        if written := {change.key: change.new for change in found if change.new is not None}:
            configuration.save(written, **place.scope())
        if removed := [change.key for change in found if change.new is None]:
            configuration.delete(removed, **place.scope())
    with output_of(f"wrote {counted(len(found))} of {place.group}" if found else ""):
        show_changes(found, arguments, CLEAN, nothing="nothing to change")
    return CLEAN


def _set_document(configuration: Configuration, place: Place, arguments: argparse.Namespace) -> int:
    content = text_of(arguments.document)
    if configuration.view(**place.scope()).content == content:
        said = "says so already"
    else:
        configuration.save_document(content, **place.scope())
        said = "written"
    with output_of(f"wrote {place.group}" if said == "written" else ""):
        if arguments.json:
            return print_json({"group": place.group, "written": said == "written"}, CLEAN)
        print_shown([f"{place.group}: {said}"])
    return CLEAN


def _diff(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (configuration, place):
        old = read(configuration, place)
    with opened(arguments, other="with") as (configuration, place):
        new = read(configuration, place)
    found = list(changes(old, new))
    code = WOULD_CHANGE if found else CLEAN
    show_changes(found, arguments, code, nothing=f"the same, {counted(len(old))}")
    return code


def _key_and_value(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise OptionsError(f"{word!r} is not KEY=VALUE; nothing was written")
    return key, value
