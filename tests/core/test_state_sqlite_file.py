"""The shared SQLite file of components, and the wake-ups of its waiting processes."""

import contextlib
import gc
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from capa_core.components.sqlite import _uptime
from capa_core.components.sqlite._database import Database
from capa_core.components.sqlite._line import Line
from capa_core.components.sqlite._wakeup import Wakeups, _Pipe
from capa_core.errors import ClosedError, DataLossError, DeadlineError, UnavailableError

SCHEMA = "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY);"


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "deep" / "er" / "x.db", SCHEMA, timeout_s=1.0)
    yield database
    database.close()


def insert(key):
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (key,)).rowcount


def keys(connection):
    return [key for (key,) in connection.execute("SELECT k FROM t ORDER BY k")]


def test_nothing_is_made_before_the_first_call(database):
    assert not database.path.parent.exists()


def test_a_committed_write_is_read_by_others(database):
    database.write(insert(1))
    other = Database(database.path, SCHEMA)

    assert [1] == database.read(keys) == other.read(keys)
    other.close()


def test_the_file_is_in_wal_mode_and_commits_are_synced(database):
    pragmas = ("journal_mode", "synchronous")
    seen = database.write(lambda c: [c.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas])

    assert ["wal", 2] == seen


def test_an_error_in_a_write_undoes_it_and_reaches_its_caller(database):
    def fail(connection):
        insert(1)(connection)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        database.write(fail)

    assert [] == database.read(keys)


def test_many_threads_share_commits(database):
    threads = [threading.Thread(target=database.write, args=[insert(key)]) for key in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(50)) == database.read(keys)


def test_a_write_that_got_no_turn_in_time_is_not_done_later(database):
    database.write(insert(0))
    database._access.timeout_s = 0.1
    blocking, go_on = threading.Event(), threading.Event()
    slow = threading.Thread(target=database.write, args=[lambda _: (blocking.set(), go_on.wait(10))])
    slow.start()
    blocking.wait(10)
    with pytest.raises(DeadlineError, match=r"no turn to write within 0\.2 s"):
        database.write(insert(1))
    go_on.set()
    slow.join()

    assert [0] == database.read(keys)
    assert 1 == database.write(insert(2))


def test_a_write_that_others_came_before_all_the_time_is_over_its_deadline(database):
    database.write(insert(0))
    database._access.timeout_s = 0.1
    started = time.monotonic()
    with Line(database.path).first(1), pytest.raises(DeadlineError, match=r"no turn to write within 0\.1 s"):
        database.write(insert(1))

    assert time.monotonic() - started >= 0.1
    assert [0] == database.read(keys)


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_file_that_one_program_keeps_for_itself_is_named(database, call):
    database.write(insert(0))
    database.pause()
    database.resume()
    database._access.timeout_s = 0.1
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match=r"x\.db stayed locked by another process for 0\.1 s"):
            getattr(database, call)(keys)


def test_no_writer_is_passed_over_while_others_write_without_a_pause(tmp_path):
    end = time.monotonic() + 2

    def write_on(_number):
        database = Database(tmp_path / "x.db", SCHEMA, timeout_s=1.5)  # each stands for a process
        count = 0
        while time.monotonic() < end:
            database.write(lambda _: time.sleep(0.02))
            count += 1
        database.close()
        return count

    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(write_on, range(8)))

    assert min(counts) * 8 > max(counts)


def test_an_interrupt_in_a_transaction_releases_the_lock(database, monkeypatch):
    database.write(insert(1))
    begin = database._access.until_free

    def interrupted(function):
        begin(function)
        raise KeyboardInterrupt

    monkeypatch.setattr(database._access, "until_free", interrupted)
    with pytest.raises(KeyboardInterrupt):
        database.write(insert(2))
    other = Database(database.path, SCHEMA, timeout_s=0.1)
    other.write(insert(3))

    assert [1, 3] == other.read(keys)
    other.close()


def test_an_interrupt_before_a_batch_fails_its_waiting_writes(database, monkeypatch):
    together = threading.Barrier(2)
    raised = []

    def follow():
        together.wait()
        with pytest.raises(UnavailableError, match="interrupted"):
            database.write(insert(2))
        raised.append(True)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()

    def interrupted(_connection, jobs):
        assert 2 == len(jobs)
        raise KeyboardInterrupt

    def begin():
        together.wait()
        while len(database._queue._waiting) < 2:
            time.sleep(0.001)
        return database._open_writer()

    monkeypatch.setattr(database, "_begin_writing", begin)
    monkeypatch.setattr("capa_core.components.sqlite._database.commit_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        database.write(insert(1))
    follower.join(5)

    assert [True] == raised


def test_an_interrupt_in_a_write_leaves_the_others_in_turn(database):
    def interrupted(_connection):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(interrupted)

    assert 1 == database.write(insert(1))


def test_calls_after_close_raise_a_closed_error(database):
    database.write(insert(1))
    database.close()
    database.close()

    for call in (lambda: database.write(insert(2)), lambda: database.read(keys)):
        with pytest.raises(ClosedError, match=r"x\.db was closed"):
            call()


def test_no_connection_is_open_during_a_fork(database):
    """An open connection would leave the child with a record of locks that it does not hold."""
    database.write(insert(1))
    database.read(keys)
    pid = os.fork()
    if pid == 0:
        os._exit(any(str(database.path) in target for target in open_files()))

    assert 0 == os.waitpid(pid, 0)[1]
    assert [1] == database.read(keys)


def open_files():
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            yield str(descriptor.readlink())
        except FileNotFoundError:
            continue


def test_a_child_sees_the_lock_of_its_parent(database):
    """Proof that the child's locks are its own: the parent's write lock must block it."""
    database.write(insert(1))
    pid = os.fork()
    if pid == 0:
        time.sleep(0.2)  # until the parent has the lock
        try:
            os._exit(0 if database.write(insert(2)) == 1 else 1)
        except BaseException:
            os._exit(2)
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(0.5)
        before = keys(connection)
        connection.execute("COMMIT")

    assert 0 == os.waitpid(pid, 0)[1]
    assert ([1], [1, 2]) == (before, database.read(keys))


# Wake-ups


@pytest.fixture
def wakeups(tmp_path):
    wakeups = Wakeups(tmp_path / "wake")
    yield wakeups
    wakeups.close()


def test_a_signal_wakes_the_listeners_for_its_name(wakeups):
    with wakeups.listen("a") as a, wakeups.listen("b") as b:
        wakeups.signal("a")

        assert (True, False) == (a.wait(10), b.wait(0.05))


def test_a_signal_before_the_wait_is_not_missed(wakeups):
    with wakeups.listen("a") as listener:
        wakeups.signal("a")
        time.sleep(0.05)

        assert listener.wait(10)
        assert not listener.wait(0.01)


def test_a_signal_wakes_another_object_on_the_same_folder(wakeups, tmp_path):
    other = Wakeups(tmp_path / "wake")
    with wakeups.listen("a") as listener:
        other.signal("a", "b")

        assert listener.wait(10)
    other.close()


def test_a_signal_without_listeners_creates_no_files(wakeups, tmp_path):
    wakeups.signal("a")

    assert not (tmp_path / "wake").exists()


def test_a_flood_of_signals_wakes_all_listeners_and_blocks_no_sender(wakeups, tmp_path):
    other = Wakeups(tmp_path / "wake")
    with wakeups.listen("last") as listener:
        for _ in range(30):
            other.signal(*(f"n{number}" for number in range(1000)))
        other.signal("last")

        assert listener.wait(10)
    other.close()


def test_the_pipe_of_a_dead_process_is_removed(wakeups, tmp_path):
    pid = os.fork()
    if pid == 0:
        with wakeups.listen("a"):
            os._exit(0)
    os.waitpid(pid, 0)
    before = list((tmp_path / "wake").iterdir())
    wakeups.signal("a")

    assert 1 == len(before)
    assert [] == list((tmp_path / "wake").iterdir())


def test_closing_removes_the_pipe_and_wakes_listeners(wakeups, tmp_path):
    with wakeups.listen("a") as listener:
        wakeups.close()

        assert listener.wait(10)
    assert [] == list((tmp_path / "wake").iterdir())


def test_closing_during_signals_writes_only_to_its_own_descriptor(wakeups, tmp_path):
    stop = threading.Event()

    def signal():
        while not stop.is_set():
            wakeups.signal("a")

    signaller = threading.Thread(target=signal)
    signaller.start()
    try:
        for _ in range(1000):
            other = Wakeups(tmp_path / "wake")
            with other.listen("a"):
                other.close()  # raises EBADF if its thread was first to close the pipe
    finally:
        stop.set()
        signaller.join()

    assert [] == list((tmp_path / "wake").iterdir())


def test_concurrent_closes_end_a_pipe_once(tmp_path):
    failures = []

    def close(pipe, together):
        together.wait()
        try:
            pipe.close()
        except OSError as error:  # the descriptor was closed, or reused by another file
            failures.append(error)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(300):
            pipe, together = _Pipe(tmp_path / "wake", lambda: None), threading.Barrier(2)
            list(pool.map(close, [pipe] * 2, [together] * 2))

    assert [] == failures


@pytest.mark.timeout(10)
def test_a_second_close_does_not_wait_for_the_thread_that_the_end_of_the_program_stopped(tmp_path):
    pipe = _Pipe(tmp_path / "wake", lambda: None)
    pipe.close()
    with pipe._ending:  # the thread ended in the middle of its clean-up
        pipe.close()


def test_wakeups_dropped_without_a_close_release_their_pipe_also_after_a_signal(wakeups, tmp_path):
    other = Wakeups(tmp_path / "wake")
    with other.listen("a") as listener:
        wakeups.signal("a")
        assert listener.wait(10)
    del other, listener
    end = time.monotonic() + 10
    while list((tmp_path / "wake").iterdir()) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)

    assert [] == list((tmp_path / "wake").iterdir())


def test_a_child_leaves_the_pipe_to_its_parent(wakeups):
    with wakeups.listen("a") as listener:
        pid = os.fork()
        if pid == 0:
            wakeups.close()
            os._exit(0)
        os.waitpid(pid, 0)
        wakeups.signal("a")

        assert listener.wait(10)


def test_a_restart_of_the_machine_sets_the_clock_of_the_file_anew(tmp_path, monkeypatch):
    database = Database(tmp_path / "x.db", SCHEMA)
    before = database.read(lambda connection: connection.now())
    database.close()
    monkeypatch.setattr(_uptime, "boot", lambda: "another start")
    monkeypatch.setattr(_uptime, "seconds", lambda: 5.0)
    database = Database(tmp_path / "x.db", SCHEMA)
    after = database.read(lambda connection: connection.now())
    database.close()

    assert 0 <= after - before < 60


@pytest.mark.parametrize("used_before", ["the writer", "a reader too"])
def test_a_file_that_was_removed_is_noticed_and_nothing_is_acknowledged(database, used_before):
    database.write(insert(1))
    if used_before != "the writer":
        database.read(keys)
    for path in database.path.parent.iterdir():
        path.unlink()
    for call in (lambda: database.write(insert(2)), lambda: database.read(keys)):
        with pytest.raises(DataLossError, match="was removed or replaced"):
            call()

    assert not database.path.exists()


def test_files_and_folder_are_the_owners_alone(database):
    database.write(insert(1))
    folder = database.path.parent

    assert 0o700 == folder.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
