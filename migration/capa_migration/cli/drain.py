"""`capa migrate drain`: move what waits in a broker of Celery's into the engine that capa.toml names."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from capa_migration.cli import FAILED, INTERRUPTED, USAGE
from capa_migration.cli.arguments import seconds
from capa_migration.cli.terminal import signals_to_end
from capa_migration.errors import HeldError, OptionsError

if TYPE_CHECKING:
    from capa_migration.live.drain.broker import Ends
    from capa_migration.live.drain.mover import Drain
    from capa_migration.live.drain.survey import QueueStatus

_EXAMPLES = """\
examples:
  capa migrate drain redis://old:6379/0 --dry-run      count: to be moved, with an ETA, expired, unreadable, held
  capa migrate drain redis://old:6379/0                move all queues
  capa migrate drain redis://old:6379/0 --queue mail   one of them
  capa migrate drain redis://old:6379/0 --held wait    and wait until workers hold no more

End the old workers with SIGTERM before. It may be stopped, killed and run again: each task is moved once.
exit codes: 0 all was moved; 1 messages stay, as said; 2 an end did not answer within --wait; 3 wrong usage, or workers
still hold messages: nothing was moved; 130 interrupted
"""
_POLL_S = 0.2
_VARIABLE = "CELERY_BROKER_URL"
"""Celery's own. Others on the machine can read the words of a command, and so a password in them."""
_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "global_keyprefix": str,
    "priority_steps": lambda text: [int(step) for step in text.split(",")],
    "sep": str,
    "unacked_index_key": str,
    "unacked_key": str,
    "visibility_timeout": float,
}
"""The transport options that change where messages are, and how each is read."""


def add_to(actions: Any, summary: str) -> None:
    """Add the parser of `capa migrate drain` to *actions*."""
    parser = actions.add_parser(
        "drain", help=summary, description=summary.capitalize() + ".", epilog=_EXAMPLES
    )
    parser.set_defaults(action="drain")
    add = parser.add_argument
    add(
        "broker",
        nargs="?",
        metavar="BROKER",
        help=f"the address of the old broker, as in broker_url; ${_VARIABLE} by default",
    )
    add(
        "--queue",
        action="append",
        default=[],
        metavar="NAME",
        help="move this queue; may be repeated; all by default",
    )
    add("--profile", metavar="NAME", help="the profile of capa.toml to move to")
    add(
        "--held",
        choices=["leave", "wait"],
        help="messages that workers hold: leave them, or wait for them; refused by default",
    )
    add(
        "--with-chords",
        action="store_true",
        help="also move parts of chords, whose bodies will not be sent",
    )
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of broker_transport_options, such as global_keyprefix=shop; may be repeated",
    )
    add(
        "--wait",
        type=seconds,
        default=60.0,
        metavar="S",
        help="give up when an end does not answer for so long; 60 s",
    )
    add("--dry-run", action="store_true", help="count what would be moved, and end")
    add("--json", action="store_true", help="print data instead of text")


def drain(arguments: argparse.Namespace) -> int:
    """Run `capa migrate drain` and return its exit code."""
    from capa_core import CapaError
    from capa_core.errors import InvalidArgumentError
    from capa_migration.cli import drain_view
    from capa_migration.live.drain import broker, survey

    address, options = _address(arguments.broker), _options(arguments.option)
    try:
        with broker.opened(address, options, arguments.profile) as ends:
            statuses = survey.statuses_of(ends.source, arguments.queue)
            if arguments.dry_run:
                found = [
                    survey.forecast_of(ends, status, with_bound=arguments.with_chords) for status in statuses
                ]
                return drain_view.show_forecasts(ends, found, as_json=arguments.json)
            if arguments.held is None:
                _check_free(statuses)
            return _move(ends, statuses, arguments)
    except KeyboardInterrupt:  # the second signal
        print("capa migrate drain: interrupted. Nothing is lost: run it again within a day", file=sys.stderr)
        return INTERRUPTED
    except InvalidArgumentError as error:
        return _refuse(error, USAGE)
    except CapaError as error:
        return _refuse(error, FAILED)


def _move(ends: Ends, statuses: Sequence[QueueStatus], arguments: argparse.Namespace) -> int:
    from capa_migration.cli.drain_view import DrainView
    from capa_migration.live.drain.mover import Drain

    work = Drain(
        ends,
        with_bound=arguments.with_chords,
        wait_s=arguments.wait,
        waits_for_held=arguments.held == "wait",
    )
    names = [status.name for status in statuses]
    with (
        DrainView(ends, statuses, work, as_json=arguments.json) as view,
        signals_to_end() as asked,
        ThreadPoolExecutor(1, "capa-drain") as pool,
    ):
        running = pool.submit(work.run, names)
        try:
            _watch(running, view, asked, work)
        finally:
            work.stop()
    error = running.exception()
    return view.end(error, was_asked=bool(asked))


def _watch(running: Future[None], view: Any, asked: Sequence[int], work: Drain) -> None:
    """Show progress until the drain has ended; a signal has it end."""
    while not wait([running], _POLL_S).done:
        view.show()
        if asked:
            work.stop()


def _check_free(statuses: Sequence[QueueStatus]) -> None:
    """Check that no worker holds messages.

    Raises:
        HeldError: One does, or may do so.
    """
    held = [status for status in statuses if status.is_served]
    if held:
        queues = ", ".join(_held(status) for status in held)
        raise HeldError(
            f"workers hold messages of {queues}; nothing was moved. End the workers with SIGTERM, which gives back what"
            " they hold. What a killed worker of Celery held comes back with --option visibility_timeout=3600, or the"
            " time that the application sets, when that has passed. --held wait moves messages as they come back,"
            " --held leave moves the others"
        )


def _held(status: QueueStatus) -> str:
    consumers = f"{status.consumers:,} consume it" if status.consumers else ""
    held = f"{status.held:,}" if status.held else ""
    return f"{status.name} ({', '.join(filter(None, (held, consumers)))})"


def _refuse(error: Exception, code: int) -> int:
    print(f"capa migrate drain: {error}", file=sys.stderr)
    return code


def _address(given: str | None) -> str:
    """Return the address of the broker.

    Raises:
        OptionsError: None is given.
    """
    address = given or os.environ.get(_VARIABLE)
    if not address:
        raise OptionsError(f"give the address of the old broker, here or in the variable {_VARIABLE}")
    return address


def _options(given: Sequence[str]) -> Mapping[str, Any]:
    """Return the transport options of the application.

    Raises:
        OptionsError: One is not known, or has a value that cannot be.
    """
    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        if name not in _OPTIONS or not separator:
            raise OptionsError(f"--option {text}: give NAME=VALUE with one of {', '.join(_OPTIONS)}")
        try:
            found[name] = _OPTIONS[name](value)
        except ValueError as error:
            raise OptionsError(f"--option {text}: {error}") from error
    return found
