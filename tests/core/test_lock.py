"""Locks over their drivers: retries, renewal, and the notification of a loss."""

import os
import socket
import threading
import time

import pytest
import structlog

from capa_core.blocks.lock import Locks
from capa_core.call import Policy
from capa_core.components.memory.lock import MemoryLock, MemoryLockSettings
from capa_core.conformance._tolerance import PATIENCE_S, is_prompt, wait_until
from capa_core.errors import LockLostError, UnavailableError

POLICY = Policy(backoff_s=0.001)


class BrokenLinkError(Exception):
    """An error of an engine."""


class FlakyLock(MemoryLock):
    """A driver that executes a call but loses its answer, as often as *failing* says for the call's name."""

    error_types = {BrokenLinkError: UnavailableError}

    def __init__(self, **failing):
        super().__init__(MemoryLockSettings())
        self.failing = failing
        self.calls = []

    def _lose_answer(self, call, answer):
        self.calls.append(call)
        if self.failing.get(call, 0) > 0:
            self.failing[call] -= 1
            raise BrokenLinkError("the answer got lost")
        return answer

    def acquire(self, name, owner, lease_s):
        return self._lose_answer("acquire", super().acquire(name, owner, lease_s))

    def renew(self, name, owner, lease_s):
        return self._lose_answer("renew", super().renew(name, owner, lease_s))

    def release(self, name, owner):
        return self._lose_answer("release", super().release(name, owner))


def test_a_lost_answer_to_an_acquisition_is_repeated_with_one_token():
    driver = FlakyLock(acquire=2)
    with Locks(driver, policy=POLICY) as locks:
        first = locks.lock("k").acquire()
        first.release()

        assert first.token + 1 == locks.lock("k").acquire().token


def test_a_release_whose_answer_was_lost_is_repeated_without_an_error():
    driver = FlakyLock(release=1)
    held = Locks(driver, policy=POLICY).lock("k").acquire()
    held.release()

    assert ["release", "release"] == driver.calls[1:]
    assert not held.lost.is_set()


def test_a_failed_release_can_be_repeated():
    driver = FlakyLock(release=99)
    held = Locks(driver, policy=POLICY).lock("k").acquire()
    with pytest.raises(UnavailableError):
        held.release()
    driver.failing.clear()
    driver.acquire("k", held.owner, 10)
    held.release()

    assert driver.acquire("k", "another", 10) is not None


def test_unlock_is_not_repeated():
    driver = FlakyLock(release=1)
    locks = Locks(driver, policy=POLICY)
    locks.try_lock("k", "me")
    with pytest.raises(UnavailableError):
        locks.unlock("k", "me")

    assert ["release"] == driver.calls[1:]


def test_a_lock_is_renewed_three_times_per_lease():
    def four_times_s():
        driver, started = FlakyLock(), time.monotonic()
        with Locks(driver).lock("k", lease=0.6):
            wait_until(lambda: driver.calls.count("renew") >= 4)
        took_s = time.monotonic() - started
        assert 0.7 < took_s
        return took_s

    assert is_prompt(four_times_s, 1.2)


def test_a_failed_renewal_is_repeated_in_time():
    driver = FlakyLock(renew=3)
    with Locks(driver).lock("k", lease=2) as held:
        time.sleep(2.5)

        assert not held.lost.is_set()


def test_the_lease_begins_before_the_acquiring_call():
    class Slow(MemoryLock):
        def acquire(self, name, owner, lease_s):
            token = super().acquire(name, owner, lease_s)
            time.sleep(1.5)
            return token

        def renew(self, name, owner, lease_s):
            raise UnavailableError("down")

    held = Locks(Slow(MemoryLockSettings())).lock("k", lease=2).acquire()

    assert held.lost.wait(1.5), "1.5 s of 2 s had passed when the answer came"


def test_a_slow_renewal_of_one_lock_does_not_delay_the_others():
    class Slow(MemoryLock):
        def renew(self, name, owner, lease_s):
            if name == "slow":
                time.sleep(4)
            return super().renew(name, owner, lease_s)

    with Locks(Slow(MemoryLockSettings())) as locks:
        slow = locks.lock("slow", lease=2).acquire()
        quick = locks.lock("quick", lease=2).acquire()
        time.sleep(2.5)

        assert (True, False) == (slow.lost.is_set(), quick.lost.is_set())


def test_a_callback_that_fails_is_logged_and_the_others_are_called():
    told = threading.Event()
    driver = FlakyLock()
    held = Locks(driver).lock("k", lease=0.3).acquire()

    def fail(_held):
        raise KeyError("mine")

    with structlog.testing.capture_logs() as logs:
        held.on_lost(fail)
        held.on_lost(lambda _held: told.set())
        driver.release("k", held.owner)
        assert told.wait(PATIENCE_S)

    assert [("a callback for a lost lock failed", "k")] == [(log["event"], log["component"]) for log in logs]


def test_the_renewing_thread_ends_with_the_last_lock():
    before = set(threading.enumerate())
    with Locks(MemoryLock(MemoryLockSettings())).lock("k", lease=30):
        (renewer,) = set(threading.enumerate()) - before
    renewer.join(PATIENCE_S)

    assert not renewer.is_alive()


def test_two_threads_may_enter_one_lock():
    lock = Locks(MemoryLock(MemoryLockSettings())).lock("k", timeout=5)
    entered = []

    def enter():
        with lock as held:
            entered.append(held.token)
            time.sleep(0.05)

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 3 == len(set(entered))


def test_an_owner_names_its_host_and_process():
    with Locks(MemoryLock(MemoryLockSettings())).lock("k") as held:
        pass

    assert held.owner.startswith(f"{socket.gethostname()}/{os.getpid()}/")


def test_check_gives_the_reason_of_the_loss():
    driver = FlakyLock(renew=99)
    held = Locks(driver).lock("k", lease=0.3).acquire()
    held.lost.wait(PATIENCE_S)
    with pytest.raises(LockLostError, match=r"not renewed within its lease of 0\.3 s") as caught:
        held.check()

    assert isinstance(caught.value.__cause__, UnavailableError)
