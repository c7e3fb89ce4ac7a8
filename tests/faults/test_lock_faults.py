"""Holders die or freeze, servers go down or silent: locks come free in time, and holders hear in time."""

import signal
import subprocess
import sys
import threading
import time

import pytest
from tcp_proxy import TcpProxy

from capa_core.blocks.lock import Locks
from capa_core.call import Policy
from capa_core.components.redis.lock import RedisLock, RedisLockSettings
from capa_core.components.sqlite.lock import SqliteLock
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S, is_prompt
from capa_core.errors import DeadlineError, LockLostError, UnavailableError

TIMEOUT_S = 0.4
LEASE_S = 1.0
HOLDER_LEASE_S = 2.0

HOLDER = """
import os, sys, time
from pathlib import Path
from capa_core.blocks.lock import Locks
from capa_core.components.sqlite.lock import SqliteLock

locks = Locks(SqliteLock(SqliteLock.settings_type(folder=Path(sys.argv[1]))))
held = locks.lock("k", lease=float(sys.argv[2])).acquire()
held.on_lost(lambda held: os.write(1, b"told\\n"))  # in one piece, for two threads tell
os.write(1, b"held\\n")
os.read(0, 1)  # which comes while it is stopped
os.write(1, b"lost\\n" if held.lost.is_set() else b"still held\\n")
time.sleep(30)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path, str(HOLDER_LEASE_S)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "held\n" == process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def locks(tmp_path):
    with Locks(SqliteLock(SqliteLock.settings_type(folder=tmp_path))) as locks:
        yield locks


def open_locks(port):
    driver = RedisLock(RedisLockSettings(url=f"redis://127.0.0.1:{port}/0", timeout_s=TIMEOUT_S))
    return Locks(driver, policy=Policy(deadline_s=1.5, attempt_s=TIMEOUT_S, retries=1))


def test_the_lock_of_a_killed_holder_is_free_when_its_lease_ends(holder, locks):
    holder.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    locks.lock("k").acquire(timeout=PATIENCE_S).release()

    assert time.monotonic() - killed < HOLDER_LEASE_S + SLOW_MACHINE_S


def stop_for(seconds, holder):
    """Stop *holder*, and have it say what it finds when it goes on."""
    holder.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    print(file=holder.stdin, flush=True)
    holder.send_signal(signal.SIGCONT)


def test_a_holder_that_was_stopped_past_its_lease_finds_it_lost_when_it_wakes(holder, locks):
    stop_for(HOLDER_LEASE_S * 1.2, holder)

    assert {"lost\n", "told\n"} == {holder.stdout.readline(), holder.stdout.readline()}


def test_a_holder_that_was_stopped_for_less_than_its_lease_goes_on(holder, locks):
    stop_for(HOLDER_LEASE_S / 4, holder)

    assert "still held\n" == holder.stdout.readline()
    time.sleep(HOLDER_LEASE_S)
    assert locks.lock("k").try_acquire() is None


@pytest.mark.server("redis")
@pytest.mark.parametrize(
    "call",
    [
        lambda locks: locks.lock("new").try_acquire(),
        lambda locks: locks.lock("k").try_acquire(),
        lambda locks: list(locks.inspect()),
        lambda locks: locks.ping(),
    ],
    ids=["acquire", "acquire what is held", "inspect", "ping"],
)
def test_a_server_that_trickles_runs_into_the_deadline(server, proxy, call):
    with open_locks(server.port) as holding, open_locks(proxy.port) as locks:
        held = holding.lock("k", lease=30).acquire()
        proxy.trickle(0.75 * TIMEOUT_S)
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            call(locks)
        held.release()

    assert time.monotonic() - started < 1.5 * 1.1 + SLOW_MACHINE_S


@pytest.mark.server("redis")
@pytest.mark.parametrize("fault", ["go_silent", "close"])
def test_a_holder_is_notified_of_the_loss_before_the_lease_ends_when_the_server_is_down(server, fault):
    def notified_s():
        with TcpProxy.to(server.port) as proxy, open_locks(proxy.port) as locks:
            held = locks.lock("k", lease=LEASE_S).acquire(timeout=PATIENCE_S)
            taken = time.monotonic()
            getattr(proxy, fault)()

            assert held.lost.wait(PATIENCE_S)
            took_s = time.monotonic() - taken
            with pytest.raises(LockLostError, match="not renewed within its lease of 1 s"):
                held.release()
        assert LEASE_S * 0.5 < took_s
        return took_s

    assert is_prompt(notified_s, LEASE_S)


@pytest.mark.server("redis")
def test_a_short_outage_is_bridged(proxy):
    with open_locks(proxy.port) as locks, locks.lock("k", lease=3) as held:
        proxy.go_silent()
        time.sleep(1.5)
        proxy.speak()
        proxy.cut()
        time.sleep(2.5)

        assert not held.lost.is_set()


@pytest.mark.server("redis")
def test_the_reason_of_a_loss_is_chained(proxy):
    with open_locks(proxy.port) as locks:
        held = locks.lock("k", lease=LEASE_S).acquire()
        proxy.close()
        held.lost.wait(PATIENCE_S)
        with pytest.raises(LockLostError) as caught:
            held.check()

        assert isinstance(caught.value.__cause__, UnavailableError)


@pytest.mark.server("redis")
def test_acquiring_from_a_silent_server_ends_in_time(proxy):
    with open_locks(proxy.port) as locks:
        locks.lock("other").acquire().release()
        proxy.go_silent()
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            locks.lock("k").acquire(timeout=1)

        assert time.monotonic() - started < 1.5 * 1.1 + SLOW_MACHINE_S


@pytest.mark.server("redis")
def test_a_lock_that_could_not_be_released_is_free_when_its_lease_ends(proxy, server):
    with open_locks(proxy.port) as locks, open_locks(server.port) as others:
        held = locks.lock("k", lease=LEASE_S).acquire()
        proxy.close()
        with pytest.raises(UnavailableError):
            held.release()

        others.lock("k").acquire(timeout=PATIENCE_S).release()


@pytest.mark.server("redis")
def test_tokens_grow_when_the_server_has_lost_its_data(server):
    with open_locks(server.port) as locks:
        held = locks.lock("k", lease=LEASE_S).acquire()
        server.kill()
        server.start()

        assert held.lost.wait(PATIENCE_S)
        assert held.token < locks.lock("k").acquire().token


@pytest.mark.server("redis")
def test_a_release_whose_answer_was_lost_is_no_loss_of_the_lock(proxy):
    """The first try frees the lock and its answer is dropped; the second finds nothing to free."""
    with open_locks(proxy.port) as locks:
        held = locks.lock("k", lease=10).acquire()
        proxy.swallow_answers()
        speaking = threading.Timer(TIMEOUT_S * 0.8, proxy.speak)
        speaking.start()
        held.release()
        speaking.join()

        assert not held.lost.is_set()
        locks.lock("k").acquire(timeout=0).release()
