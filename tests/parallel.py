"""Parallel runs: workers, their collection, the order of tests, and the machine for itself where a test measures time.

A pytest plug-in, for `pytest -n auto` (pytest-xdist). A run without workers is only put in the same order.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: most tests wait for a process or a server, not for a processor."""
    given = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    return int(given) if given else 3 * len(os.sched_getaffinity(0))


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Let one worker collect before the others: it compiles the test modules, which they only read then."""
    run = getattr(session.config, "workerinput", {}).get("testrunuid")
    if run is None:
        return (yield)
    compiled = session.config.rootpath / "build" / "locks" / "compiled"
    with locked(compiled.with_name("compiling")):
        if not compiled.exists() or compiled.read_text() != run:
            collected = yield
            compiled.write_text(run)
            return collected
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the long tests, which mostly wait, over the others, which compute; the longest first, quiet ones last.

    Long tests at the same time leave the processor idle when all of them wait, and late when none does. The last tenth
    is of short ones, so that no worker is left with a long one when the others are done.
    """
    quiet = [item for item in items if item.get_closest_marker("quiet")]
    others = [item for item in items if not item.get_closest_marker("quiet")]
    short = [item for item in others if not _time_limit_s(item)]
    long = sorted((item for item in others if _time_limit_s(item)), key=_time_limit_s, reverse=True)
    turn_of = {id(item): index * 0.9 / len(long) for index, item in enumerate(long)}
    turn_of |= {id(item): index / len(short) for index, item in enumerate(short)}
    items[:] = [*sorted([*long, *short], key=lambda item: turn_of[id(item)]), *quiet]


def _time_limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return mark.args[0] if mark and mark.args else 0


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the turn of *item* before its time limit begins: a quiet test runs while no other does."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with turn(item.config.rootpath / "build" / "locks", alone=item.get_closest_marker("quiet") is not None):
        return (yield)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold a turn: shared with others, or alone. The kernel ends the turn of a worker that dies.

    Every test passes the door, and a quiet one stays in it until the room is empty: without the door,
    others could enter for as long as there are any.
    """
    with locked(folder / "door"):
        room = _open(folder / "room")
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    try:
        yield
    finally:
        _release(room)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at *path*, which one worker holds at a time."""
    lock = _open(path)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        _release(lock)


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return *folder*, which the first worker that asks for it has filled by *make*; the others wait.

    When *make* raises, the next one to ask tries again, in an empty folder.
    """
    with locked(folder.with_name(f"{folder.name}.lock")):
        done = folder.with_name(f"{folder.name}.done")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Give a folder that all workers of this run share; use it with `made_once`."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(request.config, "workerinput") else folder


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _release(lock: int) -> None:
    # Closing is not enough: a process that the test forked may have the descriptor still.
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)
