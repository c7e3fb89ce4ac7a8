"""`make test-all` runs the tests on each supported Python that is installed, and fails if one of them fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "test-all"
CLASSIFIERS = """
    "Programming Language :: Python :: 3.97",
    "Programming Language :: Python :: 3.98",
    "Programming Language :: Python :: 3.99",
"""


@pytest.fixture
def tree(tmp_path):
    """A tree with the script, a `make` that notes its arguments, and Pythons 3.97 (on the path) and 3.98 (of pyenv)."""
    (tmp_path / "tree" / ".ci").mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "tree" / ".ci")
    (tmp_path / "tree" / "pyproject.toml").write_text(CLASSIFIERS)
    _program(tmp_path / "bin" / "make", 'echo "$@" >> made; [ "$2" != "$FAILING" ]')
    _program(tmp_path / "bin" / "python3.97", "echo 3.97")
    _program(tmp_path / "bin" / "python3.98", "exit 127")  # a shim without a version behind it
    _program(tmp_path / "pyenv" / "versions" / "3.98.1" / "bin" / "python", "echo 3.98")
    return tmp_path / "tree"


def _program(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _run(tree, *arguments, failing=""):
    environment = {
        "PATH": f"{tree.parent / 'bin'}:{os.defpath}",
        "PYENV_ROOT": str(tree.parent / "pyenv"),
        "FAILING": failing,
    }
    return subprocess.run(
        [tree / ".ci" / "test-all", *arguments], env=environment, capture_output=True, text=True
    )


def test_each_python_that_is_found_runs_the_tests_in_an_environment_of_its_own(tree):
    done = _run(tree, "tests/core", "-k", "a or b")
    pyenv = tree.parent / "pyenv" / "versions" / "3.98.1" / "bin" / "python"

    assert done.returncode == 0, done.stdout + done.stderr
    assert [
        f"test VENV=.venv-3.97 PYTHON={tree.parent / 'bin' / 'python3.97'} ARGS=tests/core -k a\\ or\\ b ",
        f"test VENV=.venv-3.98 PYTHON={pyenv} ARGS=tests/core -k a\\ or\\ b ",
    ] == (tree / "made").read_text().splitlines()


def test_the_last_lines_say_which_were_found(tree):
    lines = _run(tree).stdout.splitlines()[-3:]

    assert ["Python 3.97: passed", "Python 3.98: passed", "Python 3.99: not found on this machine"] == [
        line.partition(" (")[0] for line in lines
    ]


def test_one_python_that_fails_fails_the_run_and_the_others_are_run(tree):
    done = _run(tree, failing="VENV=.venv-3.97")

    assert done.returncode == 1
    assert "Python 3.97: FAILED" in done.stdout
    assert "Python 3.98: passed" in done.stdout


def test_no_python_at_all_is_a_failure(tree):
    (tree / "pyproject.toml").write_text('"Programming Language :: Python :: 3.99",\n')

    assert _run(tree).returncode == 1
