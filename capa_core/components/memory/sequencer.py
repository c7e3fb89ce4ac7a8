"""Sequences of one process: for tests, and for applications of one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.sequencer.driver import (
    LARGEST_NUMBER,
    SequencerDriver,
    SequencerFeature,
    SequenceStatus,
)


class MemorySequencerSettings(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MemorySequencer(SequencerDriver[MemorySequencerSettings]):
    """The next number of each name, in a dictionary."""

    settings_type = MemorySequencerSettings
    features = {
        **dict.fromkeys(SequencerFeature, NATIVE),
        SequencerFeature.SHARED: absent("each process has its own memory"),
        SequencerFeature.DURABLE: absent("memory ends with the process"),
    }

    def __init__(self, settings: MemorySequencerSettings) -> None:
        super().__init__(settings)
        self._next: dict[str, int] = {}
        self._changing = threading.Lock()

    def take(self, name: str, count: int) -> int | None:
        """See `SequencerDriver.take`."""
        with self._changing:
            first = self._next.get(name, 1)
            if first + count - 1 > LARGEST_NUMBER:
                return None
            self._next[name] = first + count
            return first

    def advance(self, name: str, least: int) -> int:
        """See `SequencerDriver.advance`."""
        with self._changing:
            found = self._next[name] = max(least, self._next.get(name, 1))
            return found

    def inspect(self) -> Iterator[SequenceStatus]:
        """See `SequencerDriver.inspect`."""
        with self._changing:
            return iter([SequenceStatus(name=name, next=number) for name, number in self._next.items()])

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"memory of this process, {len(self._next)} sequences"

    def close(self) -> None:
        """See `Driver.close`."""
        self._next.clear()

    def forget(self) -> None:
        """See `Driver.forget`: another thread of the parent may have held the lock."""
        self._changing = threading.Lock()
