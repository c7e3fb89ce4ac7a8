"""Numbers by name: take the next one, or many, and go on above those of another system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capa_core.blocks.sequencer.driver import (
    LARGEST_NUMBER,
    SequencerDriver,
    SequencerFeature,
    SequencerLimits,
    SequenceStatus,
)
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.checks import check_count, check_text
from capa_core.call.portable import Portable, counted
from capa_core.errors import ExhaustedError, UnsupportedError


class Sequencer(Portable[SequencerDriver[Any]]):
    """Numbers by name that only grow, on the engine of this component. Safe for many threads.

        invoice = sequencer.next("invoices")
        for number in sequencer.take("rows", 1_000):
            ...

    A sequence begins at 1. A number is never given twice; some are skipped where a caller died or an answer was lost.

    Any call may raise `UnavailableError` or `DeadlineError` (the engine did not answer; numbers may have been taken),
    `ClosedError`, and `InvalidArgumentError` (before anything was done).
    """

    def __init__(
        self, driver: SequencerDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("sequencer", driver, name, policy)
        self._limits = driver.limits

    @property
    def limits(self) -> SequencerLimits:
        """The bounds of names and calls."""
        return self._limits

    def next(self, name: str) -> int:
        """Take the next number of *name*, 1 to 2**63 - 1; raises as `take` does."""
        return self.take(name, 1)[0]

    def take(self, name: str, count: int) -> range:
        """Take *count* numbers that follow each other, in one round trip.

        Args:
            name: 1 to 512 characters; any Unicode.
            count: 1 to 1,000,000.

        Raises:
            ExhaustedError: The sequence ends at 2**63 - 1. Nothing was taken.

        Retries: repeated, which may skip numbers.
        """
        self._check_name(name)
        check_count("count", count, most=self._limits.max_take_batch)
        first = self._guard.safe("take", self._driver.take, name, count)
        if first is None:
            raise ExhaustedError(
                f"sequencer {self.name!r}: {name!r} has no {counted(count, 'number')} left below 2**63. Nothing was"
                f" taken. Use another name."
            )
        return range(first, first + count)

    def advance(self, name: str, at_least: int) -> int:
        """Make the next number of *name* at least *at_least*, and return it. It never gets smaller.

        For sequences that come from elsewhere: with the largest number there, plus one, no number comes twice.

        Args:
            name: 1 to 512 characters; any Unicode.
            at_least: 1 to 2**63 - 1.

        Retries: repeated; the result is the same.
        """
        self._check_name(name)
        check_count("at_least", at_least, most=LARGEST_NUMBER)
        return self._guard.safe("advance", self._driver.advance, name, at_least)

    def inspect(self) -> Iterator[SequenceStatus]:
        """Yield each sequence with its next number.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        support = self._features[SequencerFeature.INSPECT]
        if not support:
            raise UnsupportedError(
                f"sequencer {self.name!r} has no {SequencerFeature.INSPECT}: {support.note}."
            )
        return self._inspected()

    def summary(self) -> str:
        """See `Portable.summary`."""
        if not self._features[SequencerFeature.INSPECT]:
            return ""
        return counted(sum(1 for _ in self.inspect()), "sequence")

    def _inspected(self) -> Iterator[SequenceStatus]:
        yield from self._guard.each("inspect", self._driver.inspect)

    def _check_name(self, name: str) -> None:
        check_text("the name of a sequence", name, self._limits.max_name_length)
