"""`capa config get|set|diff`: the values of a configuration component."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, FAILED, USAGE, WOULD_CHANGE
from capa_migration.cli.component import check_named
from capa_migration.cli.output import output_of, print_json
from capa_migration.errors import OptionsError
from capa_migration.live.values import Change, Place, changes, masked, origin, read

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
_SIDES = (("- ", "old"), ("+ ", "new"))
_OF_PLACE = {
    "component": ("NAME", "the configuration component"),
    "profile": ("NAME", "the profile of capa.toml"),
    "application": ("NAME", "the application (Apollo: appId)"),
    "group": ("NAME", "the group (Apollo: namespace), with its suffix if it is a document"),
    "label": ("NAME", "the variant (Apollo: cluster)"),
}


def add_actions(actions: Any) -> None:
    """Add the actions to the parser of `capa config`."""
    get = _add(actions, "get", "show values, and where they come from", _GET, _get)
    get.add_argument("keys", nargs="*", metavar="KEY", help="these keys; all by default")
    change = _add(actions, "set", "write values, or remove keys", _SET, _set)
    change.add_argument("values", nargs="*", metavar="KEY=VALUE", help="a key and its new value")
    change.add_argument(
        "--delete", action="append", default=[], metavar="KEY", help="remove this key; may be repeated"
    )
    change.add_argument(
        "--document", metavar="FILE", help="write this file as the whole of a document; - for standard input"
    )
    diff = _add(actions, "diff", "compare two groups, components or profiles", _DIFF, _diff)
    for name, (kind, meaning) in _OF_PLACE.items():
        diff.add_argument(f"--with-{name}", metavar=kind, help=f"{meaning} on the other side")


def _add(
    actions: Any, name: str, summary: str, epilog: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=summary.capitalize() + ".", epilog=epilog
    )
    parser.set_defaults(run=lambda arguments: _guarded(name, run, arguments))
    for option, (kind, meaning) in _OF_PLACE.items():
        default = {"component": "default", "group": "application"}.get(option)
        shown = f"; `{default}` if not given" if default else ""
        parser.add_argument(f"--{option}", metavar=kind, default=default, help=meaning + shown)
    parser.add_argument("--show-secrets", action="store_true", help="show the values of secrets too")
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    return parser


def _guarded(name: str, run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    from capa_core import CapaError
    from capa_core.errors import InvalidArgumentError

    try:
        return run(arguments)
    except (InvalidArgumentError, OptionsError) as error:
        return _refuse(name, error, USAGE)
    except CapaError as error:
        return _refuse(name, error, FAILED)


def _refuse(name: str, error: Exception, code: int) -> int:
    print(f"capa config {name}: {error}", file=sys.stderr)
    return code


def _get(arguments: argparse.Namespace) -> int:
    with _opened(arguments) as (configuration, place):
        found = read(configuration, place, arguments.keys)
        source = origin(configuration, place)
    shown = {key: _hidden(key, value, arguments) for key, value in found.items()}
    missing = [key for key in arguments.keys if key not in found]
    code = WOULD_CHANGE if missing else CLEAN
    if arguments.json:
        return print_json({"origin": source, "values": shown, "missing": missing}, code)
    _print(f"{key} = {value}" for key, value in shown.items())
    _print([f"({_counted(len(found))} of {place.group}, from {source})"])
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
    with _opened(arguments) as (configuration, place):
        _require_component(configuration, arguments.component)
        if arguments.document:
            return _set_document(configuration, place, arguments)
        old = read(configuration, place, [*new, *arguments.delete])
        found = list(changes(old, new))
        if written := {change.key: change.new for change in found if change.new is not None}:
            configuration.save(written, **place.scope())
        if removed := [change.key for change in found if change.new is None]:
            configuration.delete(removed, **place.scope())
    with output_of(f"wrote {_counted(len(found))} of {place.group}" if found else ""):
        _show_changes(found, arguments, CLEAN, nothing="nothing to change")
    return CLEAN


def _set_document(configuration: Configuration, place: Place, arguments: argparse.Namespace) -> int:
    content = _text_of(arguments.document)
    if configuration.view(**place.scope()).content == content:
        said = "says so already"
    else:
        configuration.save_document(content, **place.scope())
        said = "written"
    with output_of(f"wrote {place.group}" if said == "written" else ""):
        if arguments.json:
            return print_json({"group": place.group, "written": said == "written"}, CLEAN)
        _print([f"{place.group}: {said}"])
    return CLEAN


def _diff(arguments: argparse.Namespace) -> int:
    with _opened(arguments) as (configuration, place):
        old = read(configuration, place)
    with _opened(arguments, other=True) as (configuration, place):
        new = read(configuration, place)
    found = list(changes(old, new))
    code = WOULD_CHANGE if found else CLEAN
    _show_changes(found, arguments, code, nothing=f"the same, {_counted(len(old))}")
    return code


def _show_changes(found: list[Change], arguments: argparse.Namespace, code: int, *, nothing: str) -> None:
    rows = [
        {
            "key": one.key,
            "old": _hidden(one.key, one.old, arguments),
            "new": _hidden(one.key, one.new, arguments),
        }
        for one in found
    ]
    if arguments.json:
        print_json({"changes": rows}, code)
    elif not rows:
        _print([nothing])
    else:
        _print(
            f"{sign}{row['key']} = {row[side]}"
            for row in rows
            for sign, side in _SIDES
            if row[side] is not None
        )


@contextmanager
def _opened(arguments: argparse.Namespace, *, other: bool = False) -> Iterator[tuple[Configuration, Place]]:
    """Open the component and name the group that *arguments* mean, on the *other* side if there are two."""
    from capa_core import Runtime

    def named(option: str) -> Any:
        given = getattr(arguments, f"with_{option}", None) if other else None
        return getattr(arguments, option) if given is None else given

    with Runtime(profile=named("profile")) as runtime:
        place = Place(
            application=named("application") or "", group=named("group"), label=named("label") or ""
        )
        check_named(runtime, "configuration", named("component"))
        yield runtime.configuration(named("component")), place


def _require_component(configuration: Configuration, name: str) -> None:
    """Refuse a mistyped name, which another component would serve.

    Raises:
        OptionsError: It is none of a component.
    """
    if configuration.name != name:
        raise OptionsError(
            f"there is no [configuration.{name}]: component {configuration.name} serves that name; nothing was written."
            f" To write there, give --component {configuration.name}"
        )


def _key_and_value(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise OptionsError(f"{word!r} is not KEY=VALUE; nothing was written")
    return key, value


def _text_of(file: str) -> str:
    """Return the text of *file*, with its line ends as they are.

    Raises:
        OptionsError: It cannot be read, or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode()
    except OSError as error:
        raise OptionsError(f"{file}: {error.strerror}; nothing was written") from error
    except UnicodeDecodeError as error:
        raise OptionsError(f"{file} is not UTF-8; nothing was written") from error


def _hidden(key: str, value: str | None, arguments: argparse.Namespace) -> str | None:
    return value if value is None or arguments.show_secrets else masked(key, value)


def _print(lines: Iterable[str]) -> None:
    """Print each of *lines* on one line: values of the engine cannot drive the terminal."""
    from capa_migration.cli.queue_view import print_line

    for line in lines:
        print_line(line)


def _counted(keys: int) -> str:
    """Return the number of *keys* in words."""
    return f"{keys:,} {'key' if keys == 1 else 'keys'}"
