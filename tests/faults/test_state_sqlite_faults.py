"""Kills, a full disk, a locked or broken file: no acknowledged write is lost, and each fault has its name."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from capa_core.blocks.state import Put, State
from capa_core.call import Policy
from capa_core.components.sqlite.state import SqliteState
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import DataLossError, DeadlineError, ExhaustedError, SettingsError, UnavailableError

WRITER = """
import sys
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from capa_core.blocks.state import State
from capa_core.components.sqlite.state import SqliteState

folder, name = Path(sys.argv[1]), sys.argv[2]
state = State(SqliteState(SqliteState.settings_type(folder=folder)))

def write(thread):
    for number in range(1_000_000):
        key = f"{name}-{thread}-{number}"
        state.put(key, key.encode() * 20)
        sys.stdout.write(key + "\\n")  # one write of one line: the acknowledgement
        sys.stdout.flush()

with ThreadPoolExecutor(3) as pool:
    list(pool.map(write, range(3)))
"""


def open_state(folder, *, timeout_s=5.0, retries=0):
    driver = SqliteState(SqliteState.settings_type(folder=folder, timeout_s=timeout_s))
    return State(driver, policy=Policy(retries=retries))


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_every_acknowledged_write_survives_kills(tmp_path):
    acknowledged = set()
    for life in range(5):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, f"{life}{n}"], stdout=subprocess.PIPE)
            for n in range(2)
        ]
        for writer in writers:
            writer.stdout.readline()
        time.sleep(0.3)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            lines = writer.communicate()[0].decode().split("\n")
            acknowledged.update(lines[:-1])  # the last may be torn

    with open_state(tmp_path) as state:
        lost = acknowledged - set(state.get_many(acknowledged))
        torn = [key for key, value in state.get_many(acknowledged).items() if value != key.encode() * 20]

    assert len(acknowledged) > 100
    assert (set(), []) == (lost, torn)


def test_a_full_disk_raises_and_loses_nothing(small_disk):
    stored = {}
    with open_state(small_disk) as state:
        with contextlib.suppress(ExhaustedError):
            for number in range(1000):
                stored[f"k{number}"] = state.put(f"k{number}", b"x" * 10_000)

        assert 10 < len(stored) < 1000
        assert stored == etags(state)
        with pytest.raises(ExhaustedError, match="full"):
            state.transact([Put("a", b"x" * 100_000), Put("b", b"x" * 100_000)])
        assert stored == etags(state)
    with open_state(small_disk) as state:
        assert stored == etags(state)


def test_a_disk_with_room_again_takes_writes_again(small_disk):
    with open_state(small_disk) as state:
        etag = state.put("k", b"v")
        (small_disk / "ballast").write_bytes(b"x" * free_bytes(small_disk))
        with pytest.raises(ExhaustedError):
            state.put("big", b"x" * 1_000_000)
        (small_disk / "ballast").unlink()
        state.put("big", b"x" * 200_000)

        assert etag == state.get_item("k").etag


def test_of_writes_that_share_a_commit_only_the_bad_one_fails(tmp_path):
    """The bad one does not fit the disk's limit for one value; its neighbours in the same transaction do."""
    with open_state(tmp_path) as state:
        state.put("warm", b"")
        outcomes = {}

        def write(number):
            try:
                state.increment("text" if number % 2 else f"n{number}")
            except Exception as error:
                outcomes[number] = type(error).__name__
            else:
                outcomes[number] = "stored"

        state.put("text", b"no number")
        threads = [threading.Thread(target=write, args=[number]) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {n: "ConflictError" if n % 2 else "stored" for n in range(20)} == outcomes
        assert 10 == len(state.get_many(f"n{number}" for number in range(20)))


def test_a_file_that_another_process_keeps_locked_is_unavailable_in_time(tmp_path):
    with open_state(tmp_path, timeout_s=0.5) as state:
        state.put("k", b"v")
        with write_lock(tmp_path / "state.db"):
            started = time.monotonic()
            with pytest.raises(UnavailableError, match="stayed locked by another process for 0.5 s"):
                state.put("k", b"w")

            assert time.monotonic() - started < 0.5 + SLOW_MACHINE_S
            assert b"v" == state.get("k"), "reading goes on"
        state.put("k", b"w")

        assert b"w" == state.get("k")


def test_many_threads_wait_no_longer_for_a_locked_file_than_one(tmp_path):
    with open_state(tmp_path, timeout_s=0.5) as state, write_lock(tmp_path / "state.db", state):
        started = time.monotonic()
        errors = []

        def write(number):
            try:
                state.put(f"k{number}", b"v")
            except UnavailableError as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=[number]) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 20 == len(errors)
        assert time.monotonic() - started < 2 * 0.5 + SLOW_MACHINE_S


def test_a_paused_writer_does_not_keep_the_others_out_for_long(tmp_path):
    """It mostly stops between two transactions; if it stops within one, the others get an error in time."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, "paused"], stdout=subprocess.DEVNULL)
    try:
        with open_state(tmp_path, timeout_s=1.0) as state:
            while not list(state.scan("paused")):
                time.sleep(0.01)
            for _ in range(5):
                writer.send_signal(signal.SIGSTOP)
                started = time.monotonic()
                with contextlib.suppress(UnavailableError, DeadlineError):
                    state.put("k", b"v")
                assert time.monotonic() - started < 1 + SLOW_MACHINE_S
                writer.send_signal(signal.SIGCONT)
                time.sleep(0.01)
            state.put("k", b"w")

            assert b"w" == state.get("k")
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_broken_file_is_data_loss_and_left_unchanged(tmp_path, content):
    (tmp_path / "state.db").write_bytes(content)
    with open_state(tmp_path) as state, pytest.raises(DataLossError, match="not a database"):
        state.get("k")

    assert content == (tmp_path / "state.db").read_bytes()


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with open_state(tmp_path) as state, pytest.raises(SettingsError, match="newer Capa"):
        state.get("k")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        open_state(tmp_path / "file" / "folder") as state,
        pytest.raises(UnavailableError, match="file/folder"),
    ):
        state.put("k", b"v")


def test_a_fork_in_the_middle_of_writes_harms_neither_side(tmp_path):
    with open_state(tmp_path) as state:
        stop = threading.Event()
        written = []

        def write(thread):
            while not stop.is_set():
                key = f"parent-{thread}-{len(written)}"
                state.put(key, b"v")
                written.append(key)

        threads = [threading.Thread(target=write, args=[n]) for n in range(3)]
        for thread in threads:
            thread.start()
        children = [
            fork(lambda n=n: [state.put(f"child-{n}-{i}", b"v") for i in range(20)]) for n in range(5)
        ]
        statuses = [os.waitpid(pid, 0)[1] for pid in children]
        stop.set()
        for thread in threads:
            thread.join()

        assert [0] * 5 == statuses
        assert set(written) == set(state.scan("parent"))
        assert 100 == len(list(state.scan("child")))


def etags(state):
    keys = list(state.scan("k"))
    return {key: item.etag for key, item in state.get_items(keys).items()}


def free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


@contextlib.contextmanager
def write_lock(path, state=None):
    """Keep the file locked as another process would, which SQLite does not tell from another connection."""
    if state is not None:
        state.put("k", b"v")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def fork(work):
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)
