"""The output of `capa migrate drain`: tables, a progress line at a terminal, or data."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from capa_migration.cli import CLEAN, FAILED, INTERRUPTED, WOULD_CHANGE
from capa_migration.cli.output import print_json
from capa_migration.cli.queue_view import print_line, shown
from capa_migration.cli.terminal import ProgressLine
from capa_migration.rewrite.formats._columns import columns

if TYPE_CHECKING:
    from capa_migration.live.drain.broker import Ends
    from capa_migration.live.drain.mover import Counts, Drain
    from capa_migration.live.drain.survey import Forecast, Kept, QueueStatus

_KEPT = ("unreadable", "in chords", "refused")


def show_forecasts(ends: Ends, found: Sequence[Forecast], *, as_json: bool) -> int:
    """Print what a drain would do, and return the exit code."""
    rows = [
        {
            "queue": each.status.name,
            "moved": each.moved,
            **_if_read(each),
            "held": each.status.held,
            "consumers": each.status.consumers,
        }
        for each in found
    ]
    if as_json:
        return print_json({**_places(ends), "dry_run": True, "queues": rows}, CLEAN)
    _print_ends(ends)
    head = ["queue", "would be moved", "with ETA", "expired", *_KEPT, "held by workers", "workers"]
    _print_table(head, [list(row.values()) for row in rows])
    _name_kept(each.kept for each in found)
    return CLEAN


class DrainView:
    """The lines about a running drain. `show` is called several times a second."""

    def __init__(self, ends: Ends, before: Sequence[QueueStatus], work: Drain, *, as_json: bool) -> None:
        self._ends = ends
        self._before = before
        self._work = work
        self._as_json = as_json
        self._total = sum(status.waiting for status in before)
        self._progress = ProgressLine("messages")
        self._said = ""

    def __enter__(self) -> Self:
        if not self._as_json:
            _print_ends(self._ends)
            _print_table(
                ["queue", "waiting", "held by workers", "workers"],
                [[one.name, one.waiting, one.held, one.consumers] for one in self._before],
            )
            sys.stdout.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.__exit__()

    def show(self) -> None:
        """Print the progress, and the reason why there is none."""
        done = sum(each.moved + each.duplicates + each.kept.total for each in self._counts())
        self._progress(done, max(done, self._total))
        reason = self._work.waits_for
        if reason and reason != self._said:
            self._say(f"waits, nothing is lost: {reason}")
        self._said = reason or self._said

    def end(self, error: BaseException | None, *, was_asked: bool) -> int:
        """Print the counts, and the *error* that ended the drain; return the exit code."""
        self._progress.__exit__()
        after = _statuses(self._ends, self._before)
        code = _code(error, after, was_asked=was_asked)
        rows = [self._row(before.name, after.get(before.name)) for before in self._before]
        if self._as_json:
            print_json({**_places(self._ends), "dry_run": False, "queues": rows}, code)
        else:
            head = ["queue", "moved", "with ETA", "expired", "moved before", *_KEPT, "still waiting", "held"]
            _print_table(head, [list(row.values()) for row in rows])
            _name_kept(each.kept for each in self._counts())
        if error is not None:
            self._say(f"{error}. Nothing is lost: run it again within a day")
        return code

    def _row(self, queue: str, after: QueueStatus | None) -> dict[str, Any]:
        counts = self._work.counts.get(queue) or _nothing()
        return {
            "queue": queue,
            "moved": counts.moved,
            "with_eta": counts.with_eta,
            "expired": counts.expired,
            "moved_before": counts.duplicates,
            **_of_kept(counts.kept),
            "waiting": after and after.waiting,
            "held": after and after.held,
        }

    def _counts(self) -> Sequence[Counts]:
        return list(self._work.counts.values())

    def _say(self, text: str) -> None:
        self._progress.__exit__()
        print(shown(f"capa migrate drain: {text}"), file=sys.stderr, flush=True)


def _code(error: BaseException | None, after: Mapping[str, QueueStatus | None], *, was_asked: bool) -> int:
    if was_asked:
        return INTERRUPTED
    if error is not None or None in after.values():
        return FAILED
    stay = any(status and (status.waiting or status.is_served) for status in after.values())
    return WOULD_CHANGE if stay else CLEAN


def _statuses(ends: Ends, before: Sequence[QueueStatus]) -> dict[str, QueueStatus | None]:
    """Return the status of each queue by now; `None` if the broker does not answer."""
    from capa_core import CapaError
    from capa_migration.live.drain.survey import status_of

    found: dict[str, QueueStatus | None] = {}
    for status in before:
        try:
            found[status.name] = status_of(ends.source, status.name)
        except CapaError:
            return dict.fromkeys((one.name for one in before), None)
    return found


def _if_read(each: Forecast) -> dict[str, int | None]:
    """Return the numbers of those that were read; none where the broker shows no message."""
    numbers = {"with_eta": each.with_eta, "expired": each.expired, **_of_kept(each.kept)}
    return {name: number if each.is_read else None for name, number in numbers.items()}


def _nothing() -> Counts:
    from capa_migration.live.drain.mover import Counts

    return Counts()


def _names_of_kept() -> list[str]:
    return [name.replace(" ", "_") for name in _KEPT]


def _of_kept(kept: Kept) -> dict[str, int]:
    return dict(zip(_names_of_kept(), (kept.unreadable, kept.bound, kept.refused), strict=True))


def _places(ends: Ends) -> dict[str, str]:
    return {"from": ends.source.place, "to": ends.target.place, "component": ends.target.name}


def _print_ends(ends: Ends) -> None:
    print_line(f"{ends.source.place} → {ends.target.place} ({ends.target.name})")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    for line in columns(head, [[_cell(value) for value in row] for row in rows]):
        print_line(line)


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _name_kept(found: Any) -> None:
    for kept in found:
        for line in kept.named:
            print_line(f"stays: {line}")
        if kept.total > len(kept.named):
            print_line(f"… and {kept.total - len(kept.named):,} more")
