"""The history of a migration: the numbers of each run, in `.capa-migrate/history`.

One line of JSON for each point in time, newest last. A line is added only when the numbers have changed, or a
day has passed. git ignores the file: it is about one working copy.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from capa_codemods.api import (
    MIGRATE_FOLDER,
    JournalError,
    check_folder,
    make_migrate_folder,
    move_earlier_file,
    open_private,
    open_regular,
)
from capa_migration.rewrite.scan.sites import Survey, sums
from capa_migration.rewrite.target import Target

_NAME = "history"
FILE = f"{MIGRATE_FOLDER}/{_NAME}"
_EARLIER_FILE = f".capa/{_NAME}"  # of earlier versions
_MAX_BYTES = 4 * 1024 * 1024
_MAX_AGE = timedelta(days=1)


class SdkProgress(NamedTuple):
    """The call sites of one SDK in numbers."""

    full: int
    partial: int
    none: int
    moved: int


class Entry(NamedTuple):
    """The numbers of one run.

    Attributes:
        by: The command of the run: `scan` or `report`; `apply` in lines of earlier versions.
        sdks: Each SDK that the tree uses, or used before it moved.
    """

    at: datetime
    by: str
    sdks: Mapping[str, SdkProgress]

    @property
    def movable(self) -> int:
        """Call sites that are served and have not moved."""
        return sum(one.full + one.partial for one in self.sdks.values())

    @property
    def staying(self) -> int:
        """Call sites that no adapter serves."""
        return sum(one.none for one in self.sdks.values())

    @property
    def moved(self) -> int:
        """Call sites that have moved."""
        return sum(one.moved for one in self.sdks.values())


class History(NamedTuple):
    """The history of one tree.

    Attributes:
        entries: In the order of time.
        damaged: The numbers of the lines that cannot be read, from 1.
    """

    entries: tuple[Entry, ...] = ()
    damaged: tuple[int, ...] = ()


def read(root: str) -> History:
    """Return the history of the tree at *root*; empty if there is none, or if it cannot be read."""
    try:
        place = f"{root}/{FILE if os.path.lexists(f'{root}/{FILE}') else _EARLIER_FILE}"
        check_folder(os.path.dirname(place))
        opened = open_regular(place)  # a link could lead to a file that is not a history
    except (OSError, JournalError):
        return History()
    if opened is None:
        return History()
    with open(opened[0], "rb") as file:
        return _parsed(file.read(_MAX_BYTES))


def remember(
    paths: str | Sequence[str],
    survey: Survey,
    by: str,
    *,
    exclude: Sequence[str] = (),
    now: datetime | None = None,
) -> bool:
    """Add a line with the present numbers of *paths*, and return whether one was due and written.

    The numbers are those of a scan, which costs many times as much as a rewrite: an `apply` adds no line.

    Nothing is written for a part of a tree, which is not comparable with the whole, nor for a tree that has never used
    an SDK, nor for one that cannot be written to: a scan must work on a read-only tree.

    Args:
        paths: The paths that the user gave.
        survey: The survey of the tree.
        by: The command: `scan` or `report`.
        exclude: The paths that the user left out.
        now: The time of the line; the present by default.
    """
    if exclude or Target(paths).scopes:
        return False
    try:
        return _append(survey.root, by, progress_of(survey), now)
    except (OSError, JournalError):
        return False


def progress_of(survey: Survey) -> dict[str, SdkProgress]:
    """Return the numbers of *survey* by SDK."""
    lines = sums(survey.sites, survey.moved)
    return {
        line.sdk: SdkProgress(line.full, line.partial, line.none, line.moved)
        for line in sorted(lines, key=lambda line: line.sdk)
    }


def _append(root: str, by: str, sdks: Mapping[str, SdkProgress], now: datetime | None) -> bool:
    if not sdks and not any(os.path.lexists(f"{root}/{place}") for place in (FILE, _EARLIER_FILE)):
        return False
    make_migrate_folder(root)
    move_earlier_file(root, _NAME)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    with open(open_private(f"{root}/{FILE}", flags), "r+b", buffering=0) as file:
        _lock(file.fileno())
        text = file.read()
        if text is None:  # a pipe
            return False
        # The time is taken under the lock, so that lines are in the order of time.
        entry = Entry(now or datetime.now(UTC), by, sdks)
        if not _is_due(entry, _parsed(text).entries):
            return False
        # A line that a kill or a full disk has cut short must not spoil this one too.
        gap = b"" if not text or text.endswith(b"\n") else b"\n"
        file.write(gap + _line(entry))
    return True


def _is_due(entry: Entry, entries: tuple[Entry, ...]) -> bool:
    last = entries[-1] if entries else None
    return last is None or last.sdks != entry.sdks or entry.at - last.at >= _MAX_AGE


def _lock(handle: int) -> None:
    """Lock the file: of two runs at once only one may add a line."""
    with contextlib.suppress(ImportError):  # without such locks a line may be added twice
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def _line(entry: Entry) -> bytes:
    data = {"at": entry.at.isoformat(timespec="seconds"), "by": entry.by}
    return (
        json.dumps({**data, "sdks": {sdk: one._asdict() for sdk, one in entry.sdks.items()}}).encode() + b"\n"
    )


def _parsed(text: bytes) -> History:
    entries, damaged = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entries.append(_entry(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            damaged.append(number)
    return History(tuple(sorted(entries, key=lambda entry: entry.at)), tuple(damaged))


def _entry(data: Any) -> Entry:
    at = datetime.fromisoformat(data["at"])
    sdks = {str(sdk): SdkProgress(**one) for sdk, one in data["sdks"].items()}
    _check(number for one in sdks.values() for number in one)
    # A time without a zone cannot be compared with the others.
    return Entry(at.astimezone(UTC), str(data["by"]), sdks)


def _check(numbers: Iterable[object]) -> None:
    for number in numbers:
        if type(number) is not int or number < 0:
            raise ValueError(f"{number!r} is not a count")
