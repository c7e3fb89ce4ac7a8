"""The distribution as users get it, built once for the whole run. A pytest plug-in."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from parallel import made_once

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Built:
    """The files that were built.

    Args:
        wheel: Built from the tree.
        sdist: Built from the tree.
        wheel_of_sdist: Built from what the sdist holds.
    """

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="session")
def built_wheel(run_folder: Path) -> Path:
    """Build the wheel from the tree."""
    return next(made_once(run_folder / "from_tree", _build_wheel).glob("*.whl"))


@pytest.fixture(scope="session")
def built(built_wheel: Path, run_folder: Path) -> Built:
    """Build the sdist from the tree, and a wheel from that, by `make dist`."""
    folder = made_once(run_folder / "through_sdist", _make_dist)
    return Built(built_wheel, next(folder.glob("*.tar.gz")), next(folder.glob("*.whl")))


def _build_wheel(folder: Path) -> None:
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT])


def _make_dist(folder: Path) -> None:
    run(["make", "-C", ROOT, "dist", f"BIN={Path(sys.executable).parent}", f"DIST={folder}"])


def run(command: Sequence[str | Path]) -> str:
    """Run *command* in an empty folder and return its output; print it all if the command fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout
