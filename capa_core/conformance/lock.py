"""Conformance of lock drivers, tested over the portable type.

    class TestMyLock(LockConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda: MyLock(MySettings(url=my_server.url))

Declared abilities are measured in both directions: those that a driver has are tested, and the others must be
missing.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from capa_core.blocks.lock import Held, Lock, LockDriver, LockFeature, Locks
from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._processes import Child, in_children
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import ClosedError, DeadlineError, InvalidArgumentError, LockLostError

Connect = Callable[[], LockDriver[Any]]

ODD_NAMES = [
    *"kK%{}:'\"\\*é🔑 \n\x00\U0010ffff",  # each character is a name
    *["%7B", "{}", "{tag}", "}{", "{}{a}", "a:token", "e\u0301"],
    *["a\x00b", "x" * 512, "🔑" * 512],
]
SHORT_S = 1.0
"""A lease for tests that wait for its end, or act before it."""
RENEWED_S = 2.0
"""A lease for tests in which it is renewed: also where a busy machine delays a renewal."""


class LockConformance(ContractPromises, ABC):
    """Subclass it, override `connect`, and every test runs against your engine."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a function that opens a driver on one set of locks, all free; each call opens another on it."""

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[LockDriver[Any]]:
        """Yield a driver."""
        driver = connect()
        yield driver
        driver.close()

    @pytest.fixture
    def locks(self, driver: LockDriver[Any]) -> Iterator[Locks]:
        """Yield the portable type over the driver."""
        with Locks(driver, name="conformance") as locks:
            yield locks

    # Declared abilities

    def test_declares_every_ability(self, driver: LockDriver[Any]) -> None:
        assert set(LockFeature) == set(driver.features)

    def test_gives_a_reason_for_each_missing_ability(self, driver: LockDriver[Any]) -> None:
        assert [] == [
            feature for feature, support in driver.features.items() if not support and not support.note
        ]

    def test_has_every_ability_of_level_0(self, driver: LockDriver[Any]) -> None:
        assert [] == [
            feature for feature, support in driver.features.items() if feature.level == 0 and not support
        ]

    # The driver itself

    def test_the_owner_that_holds_it_gets_the_same_token_again(self, driver: LockDriver[Any]) -> None:
        assert driver.acquire("k", "me", 10) == driver.acquire("k", "me", 10)

    def test_acquiring_again_starts_the_lease_anew(self, driver: LockDriver[Any]) -> None:
        driver.acquire("k", "me", SHORT_S)
        driver.acquire("k", "me", 10)
        time.sleep(SHORT_S + 0.1)

        assert driver.acquire("k", "you", SHORT_S) is None

    def test_another_owner_is_refused_at_once(self, driver: LockDriver[Any]) -> None:
        driver.acquire("k", "me", 10)
        started = time.monotonic()

        assert driver.acquire("k", "you", 10) is None
        assert time.monotonic() - started < SLOW_MACHINE_S

    def test_renewing_starts_the_lease_anew(self, driver: LockDriver[Any]) -> None:
        driver.acquire("k", "me", SHORT_S)
        renewed = driver.renew("k", "me", 10)
        time.sleep(SHORT_S + 0.1)

        assert renewed
        assert driver.acquire("k", "you", SHORT_S) is None

    def test_a_shorter_renewal_shortens_the_lease(self, driver: LockDriver[Any]) -> None:
        driver.acquire("k", "me", 60)
        driver.renew("k", "me", SHORT_S)
        time.sleep(SHORT_S + 0.1)

        assert driver.acquire("k", "you", SHORT_S) is not None

    @pytest.mark.parametrize("call", ["renew", "release"])
    def test_an_owner_that_does_not_hold_it_can_neither_renew_nor_release(
        self, driver: LockDriver[Any], call: str
    ) -> None:
        never = _try(driver, call, "k", "me")
        driver.acquire("k", "me", SHORT_S)
        another = _try(driver, call, "k", "you")
        still_held = driver.renew("k", "me", SHORT_S)
        time.sleep(SHORT_S + 0.1)

        assert (False, False, True) == (never, another, still_held)
        assert not _try(driver, call, "k", "me"), "its lease has ended"

    def test_a_released_lock_is_free(self, driver: LockDriver[Any]) -> None:
        driver.acquire("k", "me", 60)

        assert driver.release("k", "me")
        assert not driver.release("k", "me")
        assert driver.acquire("k", "you", 60) is not None

    # Leases and tokens

    def test_a_lease_is_kept_to_a_tenth_of_a_second(self, locks: Locks) -> None:
        earliest = time.monotonic() + 1
        locks.try_lock("k", "me", lease=timedelta(seconds=1))
        latest = asked = refused = time.monotonic() + 1
        while locks.try_lock("k", "you", lease=1) is None and asked < latest + 3:
            refused = asked
            time.sleep(0.01)
            asked = time.monotonic()

        assert time.monotonic() > earliest - 0.1
        assert refused < latest + 0.1

    def test_tokens_grow_with_each_acquisition(self, locks: Locks) -> None:
        tokens = []
        for _ in range(5):
            with locks.lock("k") as held:
                tokens.append(held.token)

        assert sorted(set(tokens)) == tokens

    def test_tokens_grow_after_a_lease_has_ended(self, locks: Locks) -> None:
        first = locks.try_lock("k", "me", lease=SHORT_S)
        time.sleep(SHORT_S + 0.1)
        second = locks.try_lock("k", "me", lease=SHORT_S)

        assert first is not None
        assert second is not None
        assert first < second

    def test_tokens_are_above_those_of_any_count_that_got_lost(self, locks: Locks) -> None:
        before_ms = time.time_ns() // 1_000_000

        assert before_ms <= (locks.try_lock("never taken before", "me") or 0)

    def test_each_odd_name_is_a_lock_of_its_own(self, locks: Locks) -> None:
        taken = [locks.try_lock(name, "me") for name in ODD_NAMES]
        refused = [locks.try_lock(name, "you") for name in ODD_NAMES]
        for name in ODD_NAMES:
            locks.unlock(name, "me")

        assert None not in taken
        assert [None] * len(ODD_NAMES) == refused

    # Acquiring

    def test_with_holds_it_for_the_length_of_the_block(self, locks: Locks) -> None:
        with locks.lock("k"):
            assert locks.lock("k").try_acquire() is None

        assert locks.lock("k").try_acquire() is not None

    def test_an_error_in_the_block_frees_it_and_goes_on(self, locks: Locks) -> None:
        with pytest.raises(KeyError, match="mine"), locks.lock("k"):
            raise KeyError("mine")

        assert locks.lock("k").try_acquire() is not None

    def test_a_wait_for_a_lock_that_stays_held_ends_in_time(self, locks: Locks) -> None:
        locks.try_lock("k", "another")
        started = time.monotonic()
        with pytest.raises(DeadlineError, match="'k' was held by others"):
            locks.lock("k").acquire(timeout=timedelta(seconds=0.3))

        assert 0.25 < time.monotonic() - started < 0.3 + SLOW_MACHINE_S

    def test_a_waiter_gets_it_when_it_is_released(self, locks: Locks) -> None:
        held = locks.lock("k").acquire()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(locks.lock("k").acquire, timeout=10)
            time.sleep(0.2)
            held.release()
            freed = time.monotonic()
            token = waiting.result().token

        assert held.token < token
        assert time.monotonic() - freed < SLOW_MACHINE_S

    def test_a_waiter_gets_it_when_the_lease_of_a_dead_holder_ends(self, locks: Locks) -> None:
        locks.try_lock("k", "dead", lease=SHORT_S)

        locks.lock("k").acquire(timeout=SHORT_S + SLOW_MACHINE_S).release()

    def test_a_thread_that_holds_it_does_not_get_it_twice(self, locks: Locks) -> None:
        lock = locks.lock("k", timeout=0)
        with lock, pytest.raises(DeadlineError):
            lock.acquire()

    def test_never_two_threads_hold_it(self, locks: Locks) -> None:
        inside: list[int] = []
        most: list[int] = []

        def work(number: int) -> None:
            with locks.lock("k", timeout=30):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.001)
                inside.remove(number)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(30)))

        assert [1] * 30 == most

    def test_never_two_processes_hold_it(self, connect: Connect, locks: Locks) -> None:
        _needs(locks, LockFeature.SHARED)

        def work(_number: int) -> list[tuple[int, float, float]]:
            spans = []
            with Locks(connect()) as mine:
                for _ in range(8):
                    with mine.lock("k", timeout=20) as held:
                        start = time.monotonic()
                        time.sleep(0.002)
                        spans.append((held.token, start, time.monotonic()))
            return spans

        spans = sorted(span for spans in in_children(3, work) for span in spans)

        assert 24 == len({token for token, _, _ in spans})
        assert all(earlier[2] <= later[1] for earlier, later in pairwise(spans))

    # Holding

    def test_a_held_lock_is_renewed_beyond_its_lease(self, locks: Locks) -> None:
        with locks.lock("k", lease=RENEWED_S) as held:
            time.sleep(1.5 * RENEWED_S)
            held.check()

            assert locks.try_lock("k", "another") is None
            assert not held.lost.is_set()

    def test_many_held_locks_are_all_renewed(self, locks: Locks) -> None:
        held = [locks.lock(f"k{number}", lease=RENEWED_S).acquire() for number in range(20)]
        time.sleep(1.5 * RENEWED_S)

        assert [False] * 20 == [each.lost.is_set() for each in held]
        for each in held:
            each.release()

    def test_a_second_release_does_nothing(self, locks: Locks) -> None:
        held = locks.lock("k").acquire()
        held.release()
        locks.try_lock("k", "another")
        held.release()

        assert locks.try_lock("k", "third") is None

    def test_a_released_lock_is_not_lost_later(self, locks: Locks) -> None:
        lost: list[Held] = []
        held = locks.lock("k", lease=SHORT_S).acquire()
        held.on_lost(lost.append)
        held.release()
        time.sleep(SHORT_S * 1.5)

        assert (False, []) == (held.lost.is_set(), lost)

    def test_the_holder_is_notified_when_another_has_acquired_it(
        self, driver: LockDriver[Any], locks: Locks
    ) -> None:
        held = locks.lock("k", lease=SHORT_S).acquire()
        notified = threading.Event()
        held.on_lost(lambda lost: notified.set() if lost is held else None)
        _steal(driver, held)

        assert held.lost.wait(SHORT_S + SLOW_MACHINE_S)
        assert notified.wait(SLOW_MACHINE_S)

    def test_a_callback_added_after_the_loss_is_called(self, driver: LockDriver[Any], locks: Locks) -> None:
        held = self._lost(driver, locks.lock("k", lease=SHORT_S))
        seen: list[Held] = []
        held.on_lost(seen.append)

        assert [held] == seen

    def test_a_lost_lock_fails_its_check_and_its_release(self, driver: LockDriver[Any], locks: Locks) -> None:
        held = self._lost(driver, locks.lock("k", lease=SHORT_S))

        for call in (held.check, held.release, held.release):
            with pytest.raises(LockLostError, match="'k' was lost"):
                call()

    def test_releasing_does_not_free_the_lock_of_another(self, driver: LockDriver[Any], locks: Locks) -> None:
        held = locks.lock("k", lease=30).acquire()
        _steal(driver, held)
        with pytest.raises(LockLostError):
            held.release()

        assert locks.try_lock("k", "third") is None

    def test_the_end_of_the_block_reports_that_the_lock_was_lost(
        self, driver: LockDriver[Any], locks: Locks
    ) -> None:
        with pytest.raises(LockLostError), locks.lock("k", lease=30) as held:
            _steal(driver, held)

    def test_an_error_in_the_block_is_not_hidden_by_the_loss(
        self, driver: LockDriver[Any], locks: Locks
    ) -> None:
        with pytest.raises(KeyError) as caught, locks.lock("k", lease=30) as held:
            _steal(driver, held)
            raise KeyError("mine")

        assert "was lost" in "".join(caught.value.__notes__)

    # Owners managed by the caller

    def test_unlock_frees_a_lock_acquired_by_try_lock(self, locks: Locks) -> None:
        locks.try_lock("k", "me")
        locks.unlock("k", "me")

        assert locks.try_lock("k", "you") is not None

    def test_unlock_refuses_an_owner_that_does_not_hold_it(self, locks: Locks) -> None:
        locks.try_lock("k", "me")

        with pytest.raises(LockLostError, match="'you' does not hold"):
            locks.unlock("k", "you")

    @pytest.mark.parametrize("name", ["", "x" * 513, "half \ud800 pair", b"bytes", None], ids=repr)
    def test_an_invalid_name_is_refused(self, locks: Locks, name: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            locks.lock(name)
        with pytest.raises(InvalidArgumentError):
            locks.try_lock("k", name)

    @pytest.mark.parametrize("lease", [0, 0.05, -1, timedelta(days=2), "10", float("nan")], ids=repr)
    def test_an_invalid_lease_is_refused(self, locks: Locks, lease: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            locks.lock("k", lease=lease)

    # Inspecting

    def test_held_locks_are_listed_with_holder_and_token(self, locks: Locks) -> None:
        _needs(locks, LockFeature.INSPECT)
        tokens = {name: locks.try_lock(name, "me:ü", lease=30) for name in ODD_NAMES}
        locks.try_lock("freed", "me")
        locks.unlock("freed", "me")
        locks.try_lock("ended", "me", lease=SHORT_S)
        time.sleep(SHORT_S + 0.1)
        found = list(locks.inspect())

        assert tokens == {lock.name: lock.token for lock in found}
        assert {"me:ü"} == {lock.owner for lock in found}
        assert all(20 < lock.left_s <= 30 for lock in found)
        assert f"{len(ODD_NAMES)} held" == locks.summary()

    # Sharing, forks, crashes

    def test_locks_are_shared_if_declared(self, connect: Connect, locks: Locks) -> None:
        locks.try_lock("k", "me")
        with Locks(connect()) as other:
            assert bool(locks.features[LockFeature.SHARED]) == (other.try_lock("k", "you") is None)

    def test_holders_and_tokens_last_if_declared(self, connect: Connect) -> None:
        with Locks(connect()) as first:
            token = first.try_lock("k", "me", lease=30) or 0
            lasts = bool(first.features[LockFeature.DURABLE] or first.features[LockFeature.SHARED])
        with Locks(connect()) as second:
            assert lasts == (second.try_lock("k", "you") is None)
            assert not lasts or token == second.try_lock("k", "me")

    def test_a_fork_leaves_the_lock_with_the_parent(self, locks: Locks) -> None:
        held = locks.lock("k", lease=RENEWED_S).acquire()

        def child() -> bool:
            locks.forget()
            with pytest.raises(LockLostError, match="forked"):
                held.release()
            return held.lost.is_set()

        assert Child(child).result()
        time.sleep(1.2 * RENEWED_S)
        held.release()

    def test_parent_and_child_go_on_after_a_fork(self, locks: Locks) -> None:
        locks.lock("k", lease=RENEWED_S).acquire().release()

        def child(number: int) -> int:
            locks.forget()
            with locks.lock(f"of child {number}", lease=RENEWED_S) as held:
                time.sleep(1.2 * RENEWED_S)
                held.check()
                return held.token

        assert 2 == len([token for token in in_children(2, child) if token])
        with locks.lock("k", lease=RENEWED_S) as held:
            time.sleep(1.2 * RENEWED_S)
            held.check()

    # Closing

    def test_ping_describes_the_engine(self, locks: Locks) -> None:
        assert locks.ping()

    def test_closing_notifies_the_holders(self, driver: LockDriver[Any]) -> None:
        locks = Locks(driver)
        held = locks.lock("k").acquire()
        locks.close()

        assert held.lost.is_set()
        with pytest.raises(LockLostError, match="closed"):
            held.release()

    def test_a_second_close_does_nothing(self, driver: LockDriver[Any]) -> None:
        locks = Locks(driver)
        locks.try_lock("k", "me")
        locks.close()

        locks.close()

    def test_calls_after_close_raise(self, driver: LockDriver[Any]) -> None:
        locks = Locks(driver)
        lock = locks.lock("k")
        locks.close()

        for call in (lock.acquire, lock.try_acquire, lambda: locks.try_lock("k", "me"), locks.ping):
            with pytest.raises(ClosedError):
                call()

    def _lost(self, driver: LockDriver[Any], lock: Lock) -> Held:
        """Return a lock that was held and then lost to another."""
        held = lock.acquire()
        _steal(driver, held)
        assert held.lost.wait(lock.lease_s + SLOW_MACHINE_S)
        return held


def _steal(driver: LockDriver[Any], held: Held) -> None:
    """Give the lock to another owner, as if its lease had ended unnoticed."""
    assert driver.release(held.name, held.owner)
    assert driver.acquire(held.name, "another", 60) is not None


def _try(driver: LockDriver[Any], call: str, name: str, owner: str) -> bool:
    return driver.renew(name, owner, SHORT_S) if call == "renew" else driver.release(name, owner)


def _needs(locks: Locks, feature: LockFeature) -> None:
    support = locks.features[feature]
    if not support:
        pytest.skip(f"no {feature}: {support.note}")
