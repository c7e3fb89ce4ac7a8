"""The output of `capa bridge`: lines, a progress line at a terminal, or lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.output import print_json
from capa_migration.cli.queue_view import print_line, shown
from capa_migration.cli.terminal import ProgressLine
from capa_migration.rewrite.formats._columns import columns
from capa_migration.rewrite.report import SCHEMA

if TYPE_CHECKING:
    from capa_migration.live.bridge.fleet import Fleet
    from capa_migration.live.bridge.mover import Mover, Route
    from capa_migration.live.bridge.status import BridgeStatus, Forecast

_LAG_EVERY_S = 1.0
_AFTER_FAILURE_S = 10.0
_JSON_EVERY_S = 5.0
_TEXT_EVERY_S = 60.0
_SAID_AFTER_S = 1.0


class BridgeView:
    """The lines about running bridges. `show` is called several times a second."""

    def __init__(self, fleet: Fleet, *, as_json: bool) -> None:
        self._fleet = fleet
        self._as_json = as_json
        self._progress = ProgressLine("messages")
        self._lags: dict[str, int | None] = {}
        self._next_lag = 0.0
        self._next_line = time.monotonic() + (_JSON_EVERY_S if as_json else _TEXT_EVERY_S)
        self._known: dict[str, Mover] = {}
        self._said: dict[str, int] = {}
        self._waiting: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.__exit__()

    def show(self) -> None:
        """Print what has changed, and how far the bridges are if it is time for that."""
        movers = self._fleet.movers()
        changed = self._tell_changes(movers)
        now = time.monotonic()
        if now >= self._next_lag:
            self._measure(movers)
        if self._as_json:
            if changed or now >= self._next_line:
                self._next_line = now + _JSON_EVERY_S
                self._print_json()
            return
        moved = sum(mover.counts.moved for mover in movers.values())
        self._progress(moved, moved + sum(filter(None, self._lags.values())))
        if now >= self._next_line and not sys.stderr.isatty():
            self._next_line = now + _TEXT_EVERY_S
            for name, mover in movers.items():
                self._print(f"{name}: {self._numbers(name, mover)}")

    def say(self, text: str) -> None:
        """Print a line for people on standard error."""
        self._progress.__exit__()
        print(shown(f"capa bridge: {text}"), file=sys.stderr, flush=True)

    def lag(self, name: str) -> int | None:
        """Return how many messages waited for a bridge at the last look; `None` if its source did not answer."""
        return self._lags.get(name)

    def look(self) -> None:
        """Print what has changed, and count anew what waits."""
        movers = self._fleet.movers()
        self._tell_changes(movers)
        self._measure(movers)

    def end(self, code: int) -> int:
        """Print the last line of each bridge, and return *code*."""
        movers = self._fleet.movers()
        self._progress.__exit__()
        if self._as_json:
            self._print_json(code)
        else:
            for name, mover in movers.items():
                self._print(f"{name}: {self._numbers(name, mover)}")
        return code

    def _tell_changes(self, movers: dict[str, Mover]) -> bool:
        """Print which bridges began, ended, wait or go on; return whether any did."""
        changed = False
        for name in self._known.keys() - movers.keys():
            gone = self._known.pop(name)
            self._print(f"{name}: off; {_counted(gone)}")
            self._lags.pop(name, None)
            changed = True
        for name, mover in movers.items():
            if self._known.get(name) is not mover:
                self._known[name], self._said[name] = mover, 0
                plan = mover.route.plan
                self._print(f"{name}: {plan}, from group {plan.taken_from!r}")
                changed = True
            for note in mover.notes[self._said[name] :]:
                self._said[name] += 1
                self._print(f"{name}: {note}")
            changed |= self._tell_wait(name, mover)
        return changed

    def _tell_wait(self, name: str, mover: Mover) -> bool:
        reason = mover.waits_for
        waits = bool(reason) and time.monotonic() - mover.waits_since > _SAID_AFTER_S
        if waits == (name in self._waiting) or (reason and not waits):
            return False
        if waits:
            self._waiting.add(name)
            self.say(f"{name} waits, nothing is lost: {reason}")
        else:
            self._waiting.discard(name)
            self.say(f"{name} goes on")
        return True

    def _measure(self, movers: dict[str, Mover]) -> None:
        from capa_migration.live.bridge.status import lag_of

        self._lags = {name: lag_of(mover.route) for name, mover in movers.items()}
        unknown = None in self._lags.values()
        self._next_lag = time.monotonic() + (_AFTER_FAILURE_S if unknown else _LAG_EVERY_S)

    def _numbers(self, name: str, mover: Mover) -> str:
        lag = self._lags.get(name)
        waiting = "the source does not answer" if lag is None else f"{lag:,} wait"
        return f"{_counted(mover)}; {waiting}"

    def _print(self, text: str) -> None:
        if not self._as_json:
            self._progress.__exit__()
            print_line(text)
            sys.stdout.flush()

    def _print_json(self, code: int | None = None) -> None:
        rows = [
            {
                "bridge": name,
                "from": str(mover.route.plan.source),
                "to": str(mover.route.plan.target),
                "group": mover.route.plan.taken_from,
                **asdict(mover.counts),
                "lag": self._lags.get(name),
                "waits_for": mover.waits_for,
                "notes": list(mover.notes),
            }
            for name, mover in self._fleet.movers().items()
        ]
        line: dict[str, Any] = {"schema": SCHEMA, "bridges": rows}
        print(json.dumps(line if code is None else {**line, "exit": code}), flush=True)


def show_status(found: Sequence[tuple[Route, BridgeStatus]], as_json: bool) -> int:
    """Print the status of bridges, and return the exit code."""
    from capa_migration.live.bridge.status import as_data

    code = FAILED if any(status.problem for _, status in found) else CLEAN
    if as_json:
        return print_json({"bridges": [as_data(route, status) for route, status in found]}, code)
    rows = [
        [
            route.plan.name,
            str(route.plan),
            "on" if route.plan.on else "off",
            route.plan.taken_from,
            *map(_cell, (status.lag, status.oldest_s, status.consumers, status.dead_letters)),
        ]
        for route, status in found
    ]
    head = ["bridge", "way", "", "group", "lag", "oldest s", "consumers", "dead letters"]
    for line in columns(head, rows):
        print_line(line)
    for route, status in found:
        if status.problem:
            print(shown(f"capa bridge: {route.plan.name}: {status.problem}"), file=sys.stderr)
    return code


def show_forecasts(found: Sequence[tuple[Route, Forecast]], as_json: bool) -> int:
    """Print what bridges would move, and return the exit code."""
    from capa_migration.live.bridge.status import as_data

    if as_json:
        return print_json({"bridges": [as_data(route, forecast) for route, forecast in found]}, CLEAN)
    for route, forecast in found:
        print_line(f"{route.plan.name}: {route.plan}: {forecast.waiting:,} would be moved")
        if forecast.too_large:
            most = route.target.limits.max_message_bytes
            print_line(
                f"  {forecast.too_large:,} of {forecast.looked_at:,} are larger than {route.plan.target.name} accepts"
                f" ({most:,} bytes): they would become dead letters"
            )
        if forecast.came_from_there:
            print_line(f"  {forecast.came_from_there:,} came from there: they would not go back")
    return CLEAN


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _counted(mover: Mover) -> str:
    counts = mover.counts
    more = {
        "duplicates removed": counts.duplicates,
        "came from there": counts.returned,
        "expired": counts.expired,
        "dead letters": counts.dead_letters,
    }
    return ", ".join(
        [f"{counts.moved:,} moved", *(f"{number:,} {what}" for what, number in more.items() if number)]
    )
