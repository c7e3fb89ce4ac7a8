"""Conformance of sequencer drivers, tested over the portable type.

    class TestMySequencer(SequencerConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda: MySequencer(MySettings(url=my_server.url))

Declared abilities are measured in both directions: those that a driver has are tested, and the others must be
missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from capa_core.blocks.sequencer import Sequencer, SequencerDriver, SequencerFeature
from capa_core.blocks.sequencer.driver import LARGEST_NUMBER
from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._processes import in_children
from capa_core.errors import ClosedError, ExhaustedError, InvalidArgumentError

Connect = Callable[[], SequencerDriver[Any]]

ODD_NAMES = ["a b", "A", "é", "e\u0301", "🔑" * 512, "a\x00b", "%7B{}*[x]?\\", "'\"\n"]


class SequencerConformance(ContractPromises, ABC):
    """Subclass it, override `connect`, and every test runs against your engine."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a function that opens a driver on one set of sequences, empty now; each call opens another on it."""

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[SequencerDriver[Any]]:
        """Yield a driver."""
        driver = connect()
        yield driver
        driver.close()

    @pytest.fixture
    def sequencer(self, driver: SequencerDriver[Any]) -> Iterator[Sequencer]:
        """Yield the portable type over the driver."""
        with Sequencer(driver, name="conformance") as sequencer:
            yield sequencer

    # Declared abilities

    def test_declares_every_ability(self, driver: SequencerDriver[Any]) -> None:
        assert set(SequencerFeature) == set(driver.features)

    def test_gives_a_reason_for_each_missing_ability(self, driver: SequencerDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if not support and not support.note]

    def test_has_every_ability_of_level_0(self, driver: SequencerDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if each.level == 0 and not support]

    # Numbers

    def test_a_sequence_begins_at_one(self, sequencer: Sequencer) -> None:
        assert [1, 1] == [sequencer.next("a"), sequencer.next("b")]

    def test_numbers_grow(self, sequencer: Sequencer) -> None:
        taken = [
            sequencer.next("k"),
            *sequencer.take("k", 3),
            sequencer.next("k"),
            *sequencer.take("k", 100_000),
        ]

        assert all(earlier < later for earlier, later in pairwise(taken))

    def test_numbers_have_no_gap_if_declared(self, sequencer: Sequencer) -> None:
        if not sequencer.features[SequencerFeature.GAPLESS]:
            pytest.skip("numbers may be skipped")
        taken = [sequencer.next("k"), *sequencer.take("k", 3), sequencer.next("k")]

        assert [1, 2, 3, 4, 5] == taken

    def test_each_name_is_a_sequence(self, sequencer: Sequencer) -> None:
        for name in ODD_NAMES:
            sequencer.advance(name, 10)

        assert [10] * len(ODD_NAMES) == [sequencer.next(name) for name in ODD_NAMES]
        assert 1 == sequencer.next("another")

    def test_a_sequence_goes_on_above_another_system(self, sequencer: Sequencer) -> None:
        """It never gets smaller."""
        new, larger, smaller = (sequencer.advance("k", least) for least in (500, 1_000, 20))

        assert (500, 1_000, 1_000) == (new, larger, smaller)
        assert 1_000 == sequencer.next("k")
        assert 1_001 == sequencer.advance("k", 1_001) == sequencer.next("k")

    def test_advancing_to_one_changes_nothing(self, sequencer: Sequencer) -> None:
        assert 1 == sequencer.advance("k", 1) == sequencer.next("k")
        assert 2 == sequencer.advance("k", 1)

    @pytest.mark.parametrize("below", [2**31, 2**53, 10**15 - 1, LARGEST_NUMBER - 2], ids=str)
    def test_large_numbers_are_exact(self, sequencer: Sequencer, below: int) -> None:
        sequencer.advance("k", below)

        assert [below, below + 1, below + 2] == [*sequencer.take("k", 2), sequencer.next("k")]

    def test_a_sequence_ends_at_64_bits(self, sequencer: Sequencer) -> None:
        """Nothing is taken by a call that asks for too many."""
        sequencer.advance("k", LARGEST_NUMBER - 1)
        with pytest.raises(ExhaustedError, match="'k' has no 3 numbers left"):
            sequencer.take("k", 3)
        last = list(sequencer.take("k", 2))
        with pytest.raises(ExhaustedError):
            sequencer.next("k")

        assert [LARGEST_NUMBER - 1, LARGEST_NUMBER] == last
        assert LARGEST_NUMBER + 1 == sequencer.advance("k", 5)

    # Arguments

    @pytest.mark.parametrize("name", ["", "x" * 513, "half \ud800 pair", b"bytes", None], ids=repr)
    def test_an_invalid_name_is_refused(self, sequencer: Sequencer, name: Any) -> None:
        for call in (
            sequencer.next,
            lambda name: sequencer.take(name, 2),
            lambda name: sequencer.advance(name, 2),
        ):
            with pytest.raises(InvalidArgumentError):
                call(name)

    @pytest.mark.parametrize("count", [0, -1, 1_000_001, True, 1.0, "1", None], ids=repr)
    def test_an_invalid_count_takes_nothing(self, sequencer: Sequencer, count: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            sequencer.take("k", count)

        assert 1 == sequencer.next("k")

    @pytest.mark.parametrize("least", [0, -1, 2**63, True, 1.0, "1", None], ids=repr)
    def test_an_invalid_number_advances_nothing(self, sequencer: Sequencer, least: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            sequencer.advance("k", least)

        assert 1 == sequencer.next("k")

    # Sharing, forks, crashes

    def test_threads_get_different_numbers(self, sequencer: Sequencer) -> None:
        def work(_: int) -> list[int]:
            return [number for _ in range(20) for number in (sequencer.next("k"), *sequencer.take("k", 3))]

        with ThreadPoolExecutor(4) as threads:
            taken = list(threads.map(work, range(4)))

        assert 320 == len({number for each in taken for number in each})
        assert all(each == sorted(each) for each in taken)

    def test_processes_get_different_numbers_if_declared(
        self, connect: Connect, sequencer: Sequencer
    ) -> None:
        before = sequencer.next("k")

        def work(_: int) -> list[int]:
            with Sequencer(connect()) as mine:
                return [mine.next("k") for _ in range(50)]

        taken = [number for each in in_children(3, work) for number in each]
        shared = bool(sequencer.features[SequencerFeature.SHARED])

        assert shared == (150 == len(set(taken)))
        assert not shared or before < min(taken)
        assert not shared or max(taken) < sequencer.next("k")

    def test_numbers_last_if_declared(self, connect: Connect) -> None:
        with Sequencer(connect()) as first:
            taken = first.next("k")
            lasts = bool(first.features[SequencerFeature.DURABLE] or first.features[SequencerFeature.SHARED])
        with Sequencer(connect()) as second:
            assert lasts == (second.next("k") > taken)

    def test_parent_and_child_go_on_after_a_fork(self, sequencer: Sequencer) -> None:
        sequencer.next("k")

        def child(_: int) -> int:
            sequencer.forget()
            return sequencer.next("k")

        children = in_children(2, child)
        mine = sequencer.next("k")

        assert min(children) > 1
        assert not sequencer.features[SequencerFeature.SHARED] or mine > max(children)

    # Inspecting

    def test_sequences_are_listed_with_their_next_numbers(self, sequencer: Sequencer) -> None:
        if not sequencer.features[SequencerFeature.INSPECT]:
            pytest.skip("cannot be inspected")
        expected = {name: sequencer.advance(name, number) for number, name in enumerate(ODD_NAMES, 5)}
        found = {each.name: each.next for each in sequencer.inspect()}

        assert expected == found
        assert f"{len(ODD_NAMES)} sequences" == sequencer.summary()

    # Closing

    def test_ping_describes_the_engine(self, sequencer: Sequencer) -> None:
        assert sequencer.ping()

    def test_calls_after_close_raise(self, driver: SequencerDriver[Any]) -> None:
        sequencer = Sequencer(driver)
        sequencer.close()
        sequencer.close()

        for call in (lambda: sequencer.next("k"), lambda: sequencer.advance("k", 2), sequencer.ping):
            with pytest.raises(ClosedError):
                call()
