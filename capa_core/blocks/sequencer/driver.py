"""The driver contract of sequencers: one growing number for each name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT

LONGEST_NAME = 512
LARGEST_NUMBER = 2**63 - 1
LARGEST_TAKE = 1_000_000


class SequencerFeature(Feature):
    """Abilities of sequencers."""

    INCREASING = ("increasing", Level.ALWAYS)
    """A number is above all numbers of its name that any caller had before the call began."""
    SHARED = ("shared", Level.COMMON)
    """Several processes take from the same sequences."""
    DURABLE = ("durable", Level.COMMON)
    """A number that a caller had is not given again after a crash of the engine."""
    GAPLESS = ("gapless", Level.SOME)
    """No number is skipped, but those of calls whose answer was lost."""
    INSPECT = ("inspect", Level.COMMON)
    """The sequences can be listed with their next numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencerLimits:
    """The bounds of names and calls, the same on every component.

    Attributes:
        max_name_length: In characters.
        max_take_batch: Numbers in one call.
    """

    max_name_length: int = LONGEST_NAME
    max_take_batch: int = LARGEST_TAKE


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStatus:
    """One sequence.

    Attributes:
        next: The number that the next call gets; above 2**63 - 1 if the sequence has ended.
    """

    name: str
    next: int


class SequencerDriver(Driver[SettingsT]):
    """Numbers by name. Names are 1 to 512 characters. A sequence begins at 1, and is there from its first call on."""

    @property
    def limits(self) -> SequencerLimits:
        """The bounds that the engine sets. Read once, before anything is opened."""
        return SequencerLimits()

    @abstractmethod
    def take(self, name: str, count: int) -> int | None:
        """Take *count* numbers that follow each other and return the first; `None`, with none taken, past 2**63 - 1."""

    @abstractmethod
    def advance(self, name: str, least: int) -> int:
        """Make the next number of *name* at least *least*, 1 to 2**63 - 1, and return it. It never gets smaller."""

    def inspect(self) -> Iterator[SequenceStatus]:
        """Yield each sequence once, in no order. INSPECT.

        It *must not* hold a lock or a connection between two of them, nor all of them in this process.
        """
        raise NotImplementedError
