"""Parallel runs: workers, their collection, the order of tests, and the machine for itself where a test measures time.

A pytest plug-in, for `pytest -n auto` (pytest-xdist). A run without workers is only put in the same order.
"""

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARES = 8  # for each worker, if all were of one size
USUAL_S = 60  # the limit of a test that has none of its own, as in pyproject.toml


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: most tests wait for a process or a server, not for a processor."""
    given = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    return int(given) if given else 4 * len(os.sched_getaffinity(0))


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
    """Spread what mostly waits over what computes; quiet tests last.

    Tests with a long limit and the suites of engines mostly wait: at the same time, they leave the processor idle. Both
    begin with the longest; suites that are most of the run count as other modules. Those begin with the ones of few
    tests, which have the slow ones, so that no worker is left with one of them when the others are done.
    """
    quiet = [item for item in items if item.get_closest_marker("quiet")]
    others = [item for item in items if not item.get_closest_marker("quiet")]
    long = sorted((item for item in others if _time_limit_s(item)), key=_time_limit_s, reverse=True)
    turn_of = {id(item): turn for item, turn in zip(long, _turns(long, before=0.9), strict=True)}
    short = [item for item in others if not _time_limit_s(item)]
    sizes = Counter(map(_module, short))
    suites = set(filter(_waits, sizes))
    if sum(sizes[module] for module in suites) > len(short) / 2:
        suites.clear()  # a run of engines: all of them at once would strain the first tests of faults
    computing = sorted((module for module in sizes if module not in suites), key=lambda each: sizes[each])
    waiting = sorted(suites, key=lambda each: (-sizes[each], each))
    turn_of_module = dict(zip(computing, _turns(computing, before=1), strict=True))
    turn_of_module |= dict(zip(waiting, _turns(waiting, before=0.9), strict=True))
    turn_of |= {id(item): turn_of_module[_module(item)] for item in short}
    items[:] = [*sorted([*long, *short], key=lambda item: turn_of[id(item)]), *quiet]


def _turns(things: Sequence[object], before: float) -> list[float]:
    """Return a number for each of *things*, evenly spread from 0 to *before*, where 1 is the end of the run."""
    return [index * before / len(things) for index in range(len(things))]


def _waits(module: str) -> bool:
    return "/conformance/" in module


def _time_limit_s(item: pytest.Item) -> float:
    """Return the limit of *item* that is longer than the usual one; 0 if it has none."""
    mark = item.get_closest_marker("timeout")
    return mark.args[0] if mark and mark.args and mark.args[0] > USUAL_S else 0


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return the scheduler of a parallel run."""
    config.option.loadscopereorder = False  # keep the order of the tests, not the largest shares first
    return Scheduler(config, log)


class Scheduler(LoadScopeScheduling):
    """Hands out shares of the tests in their order: neighbours of one module, the fewer the nearer the end.

    A module's fixtures are made, and its garbage is collected, each time that a worker comes to it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return self._share_of[nodeid]

    @cached_property
    def _share_of(self) -> dict[str, str]:
        divided = shares(self.collection or (), self.numnodes)
        return {test: str(number) for number, share in enumerate(divided) for test in share}


def shares(tests: Sequence[str], workers: int) -> Iterator[Sequence[str]]:
    """Divide *tests* into the shares that one worker takes at a time."""
    left = len(tests)
    for _, of_module in groupby(tests, key=lambda test: test.partition("::")[0]):
        same = list(of_module)
        while same:
            size = max(1, left // (SHARES * workers))
            yield same[:size]
            left -= len(same[:size])
            del same[:size]


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
