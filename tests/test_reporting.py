"""The report at the end of a run counts each test once, by its worst phase, and says why one was left out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import reporting
from parallel import made_once

pytestmark = pytest.mark.timeout(120)

SUITE = """
import pytest

@pytest.fixture
def breaks_afterwards():
    yield
    raise RuntimeError

def test_passes(): pass
def test_fails(): assert 0
def test_breaks_afterwards(breaks_afterwards): pass
@pytest.mark.skip(reason="no server")
def test_left_out(): pass
@pytest.mark.xfail(reason="owed")
def test_owed(): assert 0
"""


CRASHES = """
import os, pytest

@pytest.mark.parametrize("number", range(4))
def test_passes(number): pass
def test_ends_its_worker(): os._exit(0)
"""
FORGETS_ONE = """
def pytest_runtest_protocol(item, nextitem):
    return nextitem is None or None  # that is: the last one is done
"""
IN_PARALLEL = ("-n", "2", "--maxschedchunk", "1")


@pytest.fixture(scope="module", params=["one by one", "in parallel"])
def report(request, run_folder):
    """Run a small suite with the plug-in and give the path of its report."""

    def run(root):
        for folder in ("core", "adapters/celery"):
            (root / "tests" / folder).mkdir(parents=True)
            (root / "tests" / folder / f"test_{folder[:4]}.py").write_text(SUITE)
        _pytest(root, *IN_PARALLEL if request.param == "in parallel" else ())

    return made_once(run_folder / f"reported {request.param}", run) / "build" / "test-report.json"


def test_each_test_counts_once_by_its_worst_phase(report):
    counts = json.loads(report.read_text())["folders"]["tests/core"]

    assert {"passed": 1, "failed": 2, "skipped": 1, "xfailed": 1} == {
        name: count for name, count in counts.items() if name != "seconds"
    }


def test_each_adapter_has_a_line_of_its_own(report):
    assert ["tests/adapters/celery", "tests/core"] == list(json.loads(report.read_text())["folders"])


def test_omitted_tests_are_named_with_their_reason(report):
    left_out = json.loads(report.read_text())["left_out"]

    assert {("skipped", "no server", 2), ("xfailed", "owed", 2)} == {
        tuple(each.values()) for each in left_out
    }


def test_the_table_ends_with_the_totals_and_failures(report, capsys):
    code = reporting.main(str(report))

    assert code == 1
    assert capsys.readouterr().out.endswith("tests: 2 passed, 4 failed, 2 skipped\n")


def test_a_run_without_tests_is_a_failure(tmp_path, capsys):
    _pytest(tmp_path)

    assert reporting.main(str(tmp_path / "build" / "test-report.json")) == 1


def test_a_worker_that_is_gone_is_a_failure_and_the_others_run_its_tests(tmp_path, capsys):
    (tmp_path / "test_crashes.py").write_text(CRASHES)
    code, _ = _pytest(tmp_path, *IN_PARALLEL)

    assert code == 1
    assert reporting.main(str(tmp_path / "build" / "test-report.json")) == 1
    assert capsys.readouterr().out.endswith("tests: 4 passed, 1 failed, 0 skipped\n")


def test_a_run_that_ends_before_its_tests_is_a_failure_and_names_them(tmp_path, capsys):
    (tmp_path / "conftest.py").write_text(FORGETS_ONE)
    (tmp_path / "test_forgotten.py").write_text("def test_first(): pass\ndef test_second(): pass\n")
    code, printed = _pytest(tmp_path)

    assert code == 1
    assert "test_forgotten.py::test_second" in printed
    assert reporting.main(str(tmp_path / "build" / "test-report.json")) == 1


def _pytest(root, *options):
    """Run the tests in *root* with the plug-in alone; return the exit code and the output."""
    (root / "pytest.ini").touch()
    environment = os.environ | {
        "PYTHONPATH": str(Path(reporting.__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-p", "reporting", *options]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout
