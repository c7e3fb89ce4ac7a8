"""A sequencer driver over a state engine with etags: numbers are taken by conditional writes.

The driver of such an engine is a class with a name:

    class EtcdSequencer(SequencerOverState[EtcdStateSettings]):
        settings_type = EtcdStateSettings
        state_type = EtcdState
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

from capa_core.abilities import BY_DRIVER, NATIVE
from capa_core.blocks.sequencer.driver import (
    LARGEST_NUMBER,
    SequencerDriver,
    SequencerFeature,
    SequenceStatus,
)
from capa_core.blocks.state.driver import Put, StateDriver, StateFeature, StateItem
from capa_core.driver import DriverOver, SettingsT
from capa_core.errors import ConflictError, UnavailableError

_TRIES = 1000
_LONGEST_REST_S = 0.02


class SequencerOverState(DriverOver[SettingsT], SequencerDriver[SettingsT]):
    """Sequences over a state engine; a subclass names the engine's `state_type`, and takes its settings.

    The key is the name, and the value the last number as decimal text. Callers at the same time take one after the
    other; one that comes too late each time tries again after a short rest.
    """

    state_type: ClassVar[type[StateDriver[Any]]]
    """The driver of the state underneath. It has ETAG, SCAN and SHARED."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "state_type" in vars(cls):
            below = cls.state_type.features
            cls.features = {
                SequencerFeature.INCREASING: BY_DRIVER,
                SequencerFeature.SHARED: below[StateFeature.SHARED],
                SequencerFeature.DURABLE: below[StateFeature.DURABLE],
                SequencerFeature.GAPLESS: NATIVE,
                SequencerFeature.INSPECT: below[StateFeature.SCAN],
            }

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self._state = self.state_type(settings)

    @property
    def under(self) -> StateDriver[Any]:
        """See `DriverOver.under`."""
        return self._state

    def take(self, name: str, count: int) -> int | None:
        """See `SequencerDriver.take`."""
        last = self._change(name, lambda last: last + count if last + count <= LARGEST_NUMBER else None)
        return None if last is None else last - count + 1

    def advance(self, name: str, least: int) -> int:
        """See `SequencerDriver.advance`."""
        last = self._change(name, lambda last: max(last, least - 1))
        return (last or 0) + 1

    def inspect(self) -> Iterator[SequenceStatus]:
        """See `SequencerDriver.inspect`."""
        for name in self._state.scan(""):
            if (item := self._state.get(name)) is not None:
                with suppress(ConflictError):  # another program's
                    yield SequenceStatus(name=name, next=_number(item) + 1)

    def _change(self, name: str, change: Callable[[int], int | None]) -> int | None:
        """Store and return what *change* makes of the last number; `None`, with nothing stored, if that is `None`."""
        for _ in range(_TRIES):
            item = self._state.get(name)
            last = _number(item) if item else 0
            new = change(last)
            if new is None or (new == last and item is not None):
                return new
            if self._state.put(Put(name, b"%d" % new, if_etag=item.etag if item else "")) is not None:
                return new
            time.sleep(random.uniform(0, _LONGEST_REST_S))  # noqa: S311 - it keeps no secret
        raise UnavailableError(
            f"sequence {name!r}: others came before in each of {_TRIES:,} tries. Take several numbers in one call."
        )


def _number(item: StateItem) -> int:
    text = item.value.decode("ascii", "replace")
    if not text.isdecimal() or str(int(text)) != text or int(text) > LARGEST_NUMBER:
        raise ConflictError(
            f"{item.key!r} holds no whole number: another program wrote it. Nothing was taken."
        )
    return int(text)
