"""Parallel runs: collection, order and shares of the tests, quiet ones alone, and things that are made once."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import parallel
import pytest

SUITE = """
import pathlib, time
import pytest

RUNNING = pathlib.Path(__file__).with_name("running")

def _beside():
    mine = RUNNING / str(time.monotonic_ns())
    mine.touch()
    time.sleep(0.1)
    others = [path for path in RUNNING.iterdir() if path != mine]
    mine.unlink()
    return others

@pytest.mark.parametrize("number", range(8))
def test_with_others(number): _beside()

@pytest.mark.quiet
@pytest.mark.parametrize("number", range(3))
def test_alone(number): assert _beside() == []
"""


COLLECTED = """
import pathlib, time

def note(what):
    with pathlib.Path(__file__).with_name("notes").open("a") as notes:
        notes.write(f"{what}\\n")

note("begin")
time.sleep(0.2)
note("end")

def test_nothing(): pass
"""


def test_a_quiet_test_runs_while_no_other_does(tmp_path):
    (tmp_path / "running").mkdir()
    done = run_in_parallel(tmp_path, SUITE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_one_worker_collects_before_the_others(tmp_path):
    done = run_in_parallel(tmp_path, COLLECTED)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "scheduling tests via Scheduler" in done.stdout
    assert (tmp_path / "notes").read_text().split()[:2] == ["begin", "end"]
    assert (tmp_path / "notes").read_text().count("end") == 3


def run_in_parallel(folder, tests, workers=3):
    """Run *tests* in so many workers."""
    (folder / "test_it.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    quiet\n    timeout\n")
    environment = os.environ | {
        "PYTHONPATH": str(Path(parallel.__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    plugins = ["-p", "xdist", "-p", "parallel"]
    command = [sys.executable, "-m", "pytest", "-v", *plugins, "-n", str(workers)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_quiet_test_is_not_overtaken_without_end(tmp_path):
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            with parallel.turn(tmp_path, alone=False):
                pass

    others = [threading.Thread(target=come_and_go) for _ in range(3)]
    for other in others:
        other.start()
    with parallel.turn(tmp_path, alone=True):
        over.set()
    for other in others:
        other.join()


def test_long_tests_are_spread_over_the_others_and_quiet_ones_come_last():
    items = [_Item(f"m{number}::short") for number in range(20)]
    items[3:3] = [_Item("q::quiet", pytest.mark.quiet.mark, pytest.mark.timeout(99).mark)]
    items[7:7] = [
        _Item("l::long", pytest.mark.timeout(90).mark),
        _Item("l::longest", pytest.mark.timeout(300).mark),
    ]
    parallel.pytest_collection_modifyitems(items)
    names = [item.nodeid for item in items]

    assert (0, 10, 22) == (names.index("l::longest"), names.index("l::long"), names.index("q::quiet"))
    assert [f"m{number}::short" for number in range(20)] == [name for name in names if name[0] == "m"]


def test_modules_stay_together_the_smallest_first():
    names = ["large::1", "large::2", "large::3", "small::1", "also_small::1"]
    items = [_Item(name, pytest.mark.timeout(60).mark) for name in names]
    parallel.pytest_collection_modifyitems(items)

    assert [*names[3:], *names[:3]] == [item.nodeid for item in items]


def test_suites_of_engines_are_spread_over_the_others_the_largest_first():
    computing = [_Item(f"m{number}::1") for number in range(20)]
    sizes = {"small": 1, "large": 3}
    items = [
        *computing,
        *(_Item(f"tests/conformance/{name}::{n}") for name, size in sizes.items() for n in range(size)),
    ]
    parallel.pytest_collection_modifyitems(items)
    names = [item.nodeid.removeprefix("tests/conformance/") for item in items]

    assert names[:5] == ["m0::1", "large::0", "large::1", "large::2", "m1::1"]
    assert 12 <= names.index("small::0") <= 13


def test_suites_that_are_most_of_a_run_count_as_other_modules():
    names = [
        "tests/conformance/large::1",
        "tests/conformance/large::2",
        "tests/conformance/small::1",
        "other::1",
    ]
    items = [_Item(name) for name in names]
    parallel.pytest_collection_modifyitems(items)

    assert [*names[2:], *names[:2]] == [item.nodeid for item in items]


def test_shares_are_of_one_module_and_small_at_the_end():
    tests = [f"{module}::{number}" for module in "ab" for number in range(100)]
    shares = list(parallel.shares(tests, workers=2))

    assert tests == [test for share in shares for test in share]
    assert all(1 == len({test[0] for test in share}) for share in shares)
    assert (12, 1) == (len(shares[0]), len(shares[-1]))


def test_a_parallel_run_keeps_the_order(tmp_path):
    long = "import pytest\n@pytest.mark.timeout(90)\ndef test_long(): pass\n"
    (tmp_path / "test_long.py").write_text(long)
    done = run_in_parallel(
        tmp_path, "\n".join(f"def test_{number}(): pass" for number in range(100)), workers=1
    )
    ends = [line for line in done.stdout.splitlines() if "PASSED" in line]

    assert 101 == len(ends)
    assert "test_long" in ends[0]


def test_a_shared_folder_is_made_by_the_first_worker(tmp_path):
    made = []
    folders = [parallel.made_once(tmp_path / "it", made.append) for _ in range(2)]

    assert [tmp_path / "it"] == made
    assert [tmp_path / "it"] * 2 == folders


def test_a_failed_folder_is_made_again_by_the_next_worker(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        parallel.made_once(tmp_path / "it", fail)

    assert list(parallel.made_once(tmp_path / "it", lambda folder: None).iterdir()) == []


class _Item:
    def __init__(self, nodeid, *marks):
        self.nodeid = nodeid
        self._marks = {mark.name: mark for mark in marks}

    def get_closest_marker(self, name):
        return self._marks.get(name)
