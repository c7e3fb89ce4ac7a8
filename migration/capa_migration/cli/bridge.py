"""`capa bridge FROM TO`: move the messages of a topic to another component, until it is stopped."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED, INTERRUPTED, USAGE, WOULD_CHANGE
from capa_migration.cli.arguments import Parser, seconds
from capa_migration.cli.terminal import signals_to_end
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_migration.cli.bridge_view import BridgeView
    from capa_migration.live.bridge.ends import Components
    from capa_migration.live.bridge.fleet import Fleet, PlansOfFile
    from capa_migration.live.bridge.tables import Plan

_EXAMPLES = """\
examples:
  capa bridge old/default:orders new/default:orders --group default   take over the backlog of a group
  capa bridge redis:events rabbit:events                              copy each message from now on
  capa bridge orders                                                  the table [bridges.orders] of capa.toml
  capa bridge --all                                                   all tables that are on; read again on a change
  capa bridge --all --status                                          lag, age and dead letters of each
  capa bridge orders --once                                           move what is there, and end

An end is [PROFILE/]COMPONENT:TOPIC, of capa.toml. It runs until ctrl-C or SIGTERM, and finishes what is in flight.
exit codes: 0 ended by a signal, or drained; 1 --once: messages stay, or became dead letters; 2 an end did not answer
within --wait; 3 wrong usage, or capa.toml is wrong; 130 interrupted with --once, or twice
"""
_POLL_S = 0.2
_WATCH_S = 1.0
_ONCE_WAITS_S = 60.0


def parser() -> Parser:
    """Return the parser of `capa bridge`."""
    parser = Parser(
        prog="capa bridge",
        description="Move messages between the topics of two components, while both are in use.",
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("ends", nargs="*", metavar="END", help="FROM and TO, or the name of a table [bridges.NAME]")
    add("--all", action="store_true", help="all tables [bridges.NAME] that are on")
    add(
        "--group",
        metavar="NAME",
        help="take from this group; by default, one of the bridge's own gets a copy",
    )
    add("--once", action="store_true", help="move what can be received, and end")
    add("--status", action="store_true", help="show how many messages wait, and end")
    add("--dry-run", action="store_true", help="count what would be moved, and end")
    add(
        "--window",
        type=seconds,
        metavar="S",
        help="remove duplicates by id for so long; 600 s by default, 0: never",
    )
    add("--state", metavar="COMPONENT", help="keep the ids in this state component where the target cannot")
    add(
        "--take-back",
        action="store_true",
        default=None,
        help="move those too that came from there: to roll back",
    )
    add(
        "--wait",
        type=seconds,
        metavar="S",
        help="give up when an end does not answer for so long (--once: 60 s)",
    )
    add("--profile", metavar="NAME", help="the profile of capa.toml for ends that name none")
    add("--json", action="store_true", help="print lines of JSON instead of text")
    return parser


def run(words: list[str]) -> int:
    """Run `capa bridge` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_core import CapaError
    from capa_core.errors import InvalidArgumentError
    from capa_migration.live.bridge.ends import Components
    from capa_migration.live.bridge.fleet import PlansOfFile

    components = Components(arguments.profile)
    try:
        file = PlansOfFile(arguments.profile)
        wanted = _wanted(arguments, file)
        if arguments.status or arguments.dry_run:
            return _look(components, wanted, arguments)
        return _move(components, wanted, file, arguments)
    except (InvalidArgumentError, OptionsError) as error:
        return _refuse(error, USAGE)
    except CapaError as error:
        return _refuse(error, FAILED)
    finally:
        components.close()


def _refuse(error: Exception, code: int) -> int:
    print(f"capa bridge: {error}", file=sys.stderr)
    return code


def _wanted(arguments: argparse.Namespace, file: PlansOfFile) -> dict[str, Plan]:
    """Return the bridges that *arguments* name.

    Raises:
        OptionsError: They name none, or contradict each other.
    """
    ends = arguments.ends
    if arguments.all:
        given = (arguments.group, arguments.state, arguments.window, arguments.take_back)
        if ends or any(option is not None for option in given):
            raise OptionsError(
                "--all takes the ends, and what else is about one bridge, from capa.toml: leave it out"
            )
        return file.read()
    if len(ends) == 1 and ":" not in ends[0]:
        return {ends[0]: _changed(_named(file.read(), ends[0]), arguments)}
    if len(ends) != 2:
        raise OptionsError(
            "give FROM and TO as [PROFILE/]COMPONENT:TOPIC, the name of a table [bridges.NAME], or --all"
        )
    return {"bridge": _given(arguments)}


def _named(found: Mapping[str, Plan], name: str) -> Plan:
    from dataclasses import replace

    if name not in found:
        raise OptionsError(f"capa.toml has no [bridges.{name}]: it has {', '.join(sorted(found))}")
    return replace(found[name], on=True)


def _changed(plan: Plan, arguments: argparse.Namespace) -> Plan:
    from dataclasses import replace

    from capa_migration.live.bridge.ends import Name

    given = {"group": arguments.group, "window_s": arguments.window, "take_back": arguments.take_back}
    given["state"] = Name.parse(arguments.state) if arguments.state else None
    return replace(plan, **{key: value for key, value in given.items() if value is not None})


def _given(arguments: argparse.Namespace) -> Plan:
    from capa_migration.live.bridge.ends import End
    from capa_migration.live.bridge.tables import Plan

    source, target = map(End.parse, arguments.ends)
    return _changed(Plan(name="bridge", source=source, target=target), arguments)


def _look(components: Components, wanted: Mapping[str, Plan], arguments: argparse.Namespace) -> int:
    from capa_migration.cli import bridge_view
    from capa_migration.live.bridge.fleet import route_of
    from capa_migration.live.bridge.status import forecast_of, status_of

    routes = [route_of(components, wanted[name]) for name in sorted(wanted)]
    if arguments.dry_run:
        return bridge_view.show_forecasts([(route, forecast_of(route)) for route in routes], arguments.json)
    return bridge_view.show_status([(route, status_of(route)) for route in routes], arguments.json)


def _move(
    components: Components, wanted: Mapping[str, Plan], file: PlansOfFile, arguments: argparse.Namespace
) -> int:
    from capa_migration.cli.bridge_view import BridgeView
    from capa_migration.live.bridge.fleet import Fleet

    fleet = Fleet(components, once=arguments.once)
    with signals_to_end() as asked, BridgeView(fleet, as_json=arguments.json) as view:
        try:
            fleet.arrange(wanted)
            if not fleet.movers():
                view.say("every bridge of capa.toml is off")
            ending = _watch(fleet, view, asked, file if arguments.all else None, arguments)
        finally:
            fleet.stop()
        view.look()
        return view.end(_code(fleet, view, ending, once=arguments.once))


def _watch(
    fleet: Fleet, view: BridgeView, asked: list[int], file: PlansOfFile | None, arguments: argparse.Namespace
) -> int | None:
    """Show progress until the bridges end or a signal asks for it; return the exit code if that is settled."""
    longest_s = (
        arguments.wait if arguments.wait is not None else _ONCE_WAITS_S if arguments.once else float("inf")
    )
    looked = time.monotonic()
    while not asked:
        time.sleep(_POLL_S)
        view.show()
        if arguments.once and fleet.all_ended():
            return None
        if fleet.longest_wait_s() > longest_s:
            return FAILED
        if file is not None and time.monotonic() - looked >= _WATCH_S:
            looked = time.monotonic()
            _follow(fleet, view, file)
    return INTERRUPTED if arguments.once else CLEAN


def _follow(fleet: Fleet, view: BridgeView, file: PlansOfFile) -> None:
    """Begin and end bridges as a changed capa.toml says; one that cannot be read changes nothing."""
    from capa_core import CapaError

    if not file.changed():
        return
    found = file.read_again()
    try:
        if isinstance(found, Exception):
            raise found
        fleet.arrange(found)
    except (CapaError, OptionsError) as error:
        view.say(f"capa.toml changed, and the bridges run on as before: {error}")


def _code(fleet: Fleet, view: BridgeView, ending: int | None, *, once: bool) -> int:
    if ending is not None:
        return ending
    if not once:
        return CLEAN
    movers = fleet.movers()
    if any(view.lag(name) is None for name in movers):
        return FAILED
    stay = any(view.lag(name) or mover.counts.dead_letters for name, mover in movers.items())
    return WOULD_CHANGE if stay else CLEAN
