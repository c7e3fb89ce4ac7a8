"""The parts that all actions of `capa config` share: the group that is meant, changes shown, secrets hidden."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capa_migration.cli import FAILED, USAGE
from capa_migration.cli.component import check_named
from capa_migration.cli.output import print_json
from capa_migration.errors import OptionsError
from capa_migration.live.values import Change, Place, masked

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration

_SIDES = (("- ", "old"), ("+ ", "new"))
OF_PLACE = {
    "component": ("NAME", "the configuration component"),
    "profile": ("NAME", "the profile of capa.toml"),
    "application": ("NAME", "the application (Apollo: appId)"),
    "group": ("NAME", "the group (Apollo: namespace), with its suffix if it is a document"),
    "label": ("NAME", "the variant (Apollo: cluster)"),
}


def add_other_side(parser: argparse.ArgumentParser, word: str) -> None:
    """Add the options of another group, such as `--with-profile`; what is not named is the same on both sides."""
    for name, (kind, meaning) in OF_PLACE.items():
        parser.add_argument(f"--{word}-{name}", metavar=kind, help=f"{meaning} on the other side")


def add_action(
    actions: Any, name: str, summary: str, epilog: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add an action about one group to the parser of `capa config`, and return its parser."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=summary.capitalize() + ".", epilog=epilog
    )
    parser.set_defaults(run=lambda arguments: _guarded(name, run, arguments))
    for option, (kind, meaning) in OF_PLACE.items():
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


def show_changes(found: Sequence[Change], arguments: argparse.Namespace, code: int, *, nothing: str) -> None:
    """Print *found* as lines or data; *nothing* is the line where there is no change."""
    rows = [
        {
            "key": one.key,
            "old": hidden(one.key, one.old, arguments),
            "new": hidden(one.key, one.new, arguments),
        }
        for one in found
    ]
    if arguments.json:
        print_json({"changes": rows}, code)
    elif not rows:
        print_shown([nothing])
    else:
        print_shown(
            f"{sign}{row['key']} = {row[side]}"
            for row in rows
            for sign, side in _SIDES
            if row[side] is not None
        )


@contextmanager
def opened(arguments: argparse.Namespace, *, other: str = "") -> Iterator[tuple[Configuration, Place]]:
    """Open the component and name the group that *arguments* mean.

    Args:
        other: The word before the options of the other side, where there are two.
    """
    from capa_core import Runtime

    def named(option: str) -> Any:
        given = getattr(arguments, f"{other}_{option}", None) if other else None
        return getattr(arguments, option) if given is None else given

    with Runtime(profile=named("profile"), reports=False) as runtime:
        place = Place(
            application=named("application") or "", group=named("group"), label=named("label") or ""
        )
        check_named(runtime, "configuration", named("component"))
        yield runtime.configuration(named("component")), place


def require_component(configuration: Configuration, name: str) -> None:
    """Refuse a mistyped name, which another component would serve.

    Raises:
        OptionsError: It is none of a component.
    """
    if configuration.name != name:
        raise OptionsError(
            f"there is no [configuration.{name}]: component {configuration.name} serves that name; nothing was written."
            f" To write there, give --component {configuration.name}"
        )


def hidden(key: str, value: str | None, arguments: argparse.Namespace) -> str | None:
    """Return *value*, masked if it is secret and *arguments* do not ask to see it."""
    return value if value is None or arguments.show_secrets else masked(key, value)


def print_shown(lines: Iterable[str]) -> None:
    """Print each of *lines* on one line: values of the engine cannot drive the terminal."""
    from capa_migration.cli.queue_view import print_line

    for line in lines:
        print_line(line)


def counted(keys: int) -> str:
    """Return the number of *keys* in words."""
    return f"{keys:,} {'key' if keys == 1 else 'keys'}"


def text_of(file: str) -> str:
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
