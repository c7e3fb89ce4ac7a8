"""Two groups of configuration that are kept equal: changes of either go to the other, and the last write wins.

The journal holds the values that both had when they were last equal. A key that differs from it has changed; if only
one side has changed it, the other follows. If both have, the later write wins. What this process is about to write is
noted in the journal before: after a kill its own write is known as its own, and never counts as a change (loop mark).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from capa_core.blocks.configuration.formats import suffix_of
from capa_core.errors import ConflictError
from capa_migration.errors import OptionsError
from capa_migration.live.copies import to_write
from capa_migration.live.values import Change, Place, changes, texts

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration, Snapshot

_TEXT = ""
"""The key of the text of a document, which is kept equal as a whole. No key is empty."""
_TRIES = 10

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two groups."""

    configuration: Configuration
    place: Place

    def __str__(self) -> str:
        named = "/".join(filter(None, (self.place.application, self.place.label, self.place.group)))
        return f"{self.configuration.name}:{named}"

    @property
    def identity(self) -> str:
        """The engine, its address, and the group."""
        return "\0".join([self.configuration.name, self.configuration.place, *self.place.scope().values()])


@dataclass(frozen=True, slots=True)
class Seen:
    """One side as it was read: its values, when each was written, and its version."""

    values: Values
    times: Mapping[str, float]
    version: str

    @classmethod
    def of(cls, snapshot: Snapshot, place: Place) -> Seen:
        """Return a group as it was read; a document has one value, its text."""
        if not suffix_of(place.group):
            values = texts(snapshot.items)
            times = {key: item.changed_at for key, item in snapshot.items.items()}
            return cls(values, times, snapshot.version)
        latest = max((item.changed_at for item in snapshot.items.values()), default=0.0)
        values = {} if snapshot.content is None else {_TEXT: snapshot.content}
        return cls(values, dict.fromkeys(values, latest), snapshot.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The values that both sides are to have.

    Attributes:
        conflicts: Keys that both sides had changed, each with the side whose value won.
    """

    values: Values
    conflicts: Mapping[str, int] = field(default_factory=dict)


def merge(base: Values, sides: tuple[Seen, Seen]) -> Merged:
    """Return the values that both *sides* are to have, given those of *base*, when they were last equal.

    A group that is gone as a whole, unlike one whose keys were removed, takes the values of the other.
    """
    left, right = sides
    if bool(left.version) != bool(right.version):
        return Merged(values=left.values if left.version else right.values)
    values: dict[str, str] = {}
    conflicts: dict[str, int] = {}
    for key in sorted({*base, *left.values, *right.values}):
        both = left.values.get(key), right.values.get(key)
        changed = [value != base.get(key) for value in both]
        winner = changed.index(True) if any(changed) else 0
        if both[0] != both[1] and all(changed):
            winner = conflicts[key] = _later(key, left, right)
        if (value := both[winner]) is not None:
            values[key] = value
    return Merged(values=values, conflicts=conflicts)


def _later(key: str, left: Seen, right: Seen) -> int:
    """Return the side that wrote *key* later: a value before a removal, whose time is not known; in doubt the first."""
    if key not in left.values or key not in right.values:
        return int(key in right.values)
    return int(right.times[key] > left.times[key] > 0)


class Journal:
    """The values that both sides had when they were last equal, in a file; only one process has it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base: dict[str, str] = {}
        self._pending: list[dict[str, str | None]] = [{}, {}]

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, sides: tuple[Side, Side]) -> Iterator[Journal]:
        """Yield the journal of *sides* in *folder*.

        Raises:
            OptionsError: Another process has it, or it is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256("\0".join(side.identity for side in sides).encode()).hexdigest()[:16]
        journal = cls(folder / f"{name}.json")
        with (folder / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OptionsError(
                    f"another process keeps {sides[0]} and {sides[1]} equal: end it first"
                ) from error
            journal._load()
            yield journal

    def settle(self, sides: tuple[Seen, Seen]) -> None:
        """Count the writes that were under way, and have arrived, as equal on both sides: they are no changes."""
        for pending, side in zip(self._pending, sides, strict=True):
            for key, value in pending.items():
                if side.values.get(key) == value:
                    _put(self.base, key, value)
        if any(self._pending):
            self._pending = [{}, {}]
            self._store()

    def begin(self, writes: tuple[list[Change], list[Change]]) -> None:
        """Note what is about to be written to each side."""
        self._pending = [{one.key: one.new for one in several} for several in writes]
        self._store()

    def finish(self, values: Values) -> None:
        """Note that both sides have *values*."""
        if self.base != values or any(self._pending):
            self.base, self._pending = dict(values), [{}, {}]
            self._store()

    def _load(self) -> None:
        try:
            found = json.loads(self.path.read_text())
            self.base = {str(key): str(value) for key, value in found["base"].items()}
            self._pending = [dict(one) for one in found["pending"]]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OptionsError(
                f"{self.path} is damaged: remove it. Keys that both sides have then take the value written last, and"
                " removed ones come back"
            ) from error

    def _store(self) -> None:
        data = {"base": self.base, "pending": self._pending}
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One look at both sides.

    Attributes:
        writes: The changes that were, or would be, written to each.
        conflicts: As of `Merged`.
    """

    writes: tuple[list[Change], list[Change]]
    conflicts: Mapping[str, int]


class Sync:
    """Keeps two groups equal. Used by one thread."""

    def __init__(self, sides: tuple[Side, Side], journal: Journal) -> None:
        self.sides = sides
        self._journal = journal

    def step(self, *, dry: bool = False) -> Step:
        """Make both sides equal once, or only compare them; a side that is changed meanwhile is read again.

        Raises:
            ConflictError: It was changed again and again.
            UnavailableError: A side did not answer. It is finished by the next call.
            SettingsError: A side is malformed. Nothing was written.
        """
        for attempt in range(_TRIES):
            seen = self._seen()
            if not dry:
                self._journal.settle(seen)
            merged = merge(self._journal.base, seen)
            step = Step(
                writes=(_writes(seen[0], merged), _writes(seen[1], merged)), conflicts=merged.conflicts
            )
            if dry:
                return step
            # A conflict: somebody else has written meanwhile, which the next look sees.
            with contextlib.nullcontext() if attempt == _TRIES - 1 else contextlib.suppress(ConflictError):
                self._write(step, seen, merged)
                return step
        raise AssertionError("the last attempt returns or raises")

    def _seen(self) -> tuple[Seen, Seen]:
        left, right = (
            Seen.of(side.configuration.snapshot(**side.place.scope()), side.place) for side in self.sides
        )
        return left, right

    def _write(self, step: Step, seen: tuple[Seen, Seen], merged: Merged) -> None:
        if any(step.writes):
            self._journal.begin(step.writes)
        for side, before, writes in zip(self.sides, seen, step.writes, strict=True):
            if writes:
                _edit(side, merged, writes, before.version)
        self._journal.finish(merged.values)


def _writes(seen: Seen, merged: Merged) -> list[Change]:
    return list(changes(seen.values, merged.values))


def _edit(side: Side, merged: Merged, writes: list[Change], version: str) -> None:
    configuration, place = side.configuration, side.place
    if suffix_of(place.group):
        configuration.edit((), content=merged.values[_TEXT], if_version=version, **place.scope())
        return
    changed = [one.key for one in writes if one.new is not None]
    gone = [one.key for one in writes if one.new is None]
    written = to_write(place, merged.values, changed)
    configuration.edit(written, gone=gone, if_version=version, **place.scope())


def _put(values: dict[str, str], key: str, value: str | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
