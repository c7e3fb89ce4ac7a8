"""The distribution as users get it: built once for all tests here, installed into an empty environment."""

import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parallel import made_once

ROOT = Path(__file__).parents[2]
PYTHON = Path("bin", "python")


@dataclass(frozen=True)
class Built:
    """What was built.

    Args:
        wheel: Built from the tree.
        sdist: Built from the tree.
        wheel_of_sdist: Built from what the sdist holds.
    """

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="session")
def built(run_folder: Path) -> Built:
    """Build the wheel from the tree, and the sdist with a wheel from that."""
    build = [sys.executable, "-m", "build", "--no-isolation", ROOT, "--outdir"]
    from_tree = made_once(run_folder / "from_tree", lambda folder: run([*build, folder, "--wheel"]))
    through_sdist = made_once(run_folder / "through_sdist", lambda folder: run([*build, folder]))
    wheel, wheel_of_sdist = (next(folder.glob("*.whl")) for folder in (from_tree, through_sdist))
    return Built(wheel, next(through_sdist.glob("*.tar.gz")), wheel_of_sdist)


@pytest.fixture(scope="session")
def wheel_files(built: Built) -> dict[str, bytes]:
    """Give the content of the wheel by name."""
    return contents(built.wheel)


@pytest.fixture(scope="session")
def fresh_python(built: Built, run_folder: Path) -> Path:
    """Give the interpreter of an environment that holds the wheel, what the core needs, and nothing else."""

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=False)
        run([sys.executable, "-m", "pip", "--python", folder / PYTHON, "install", "--quiet", built.wheel])

    return made_once(run_folder / "fresh", install) / PYTHON


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """Give `pyproject.toml` as a dictionary."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    """Give the folder of each package that is shipped, by import name."""
    folders = [ROOT / "capa_core", *ROOT.glob("*/capa_*/")]
    return {folder.name: folder for folder in sorted(folders) if folder.is_dir()}


def run(command: Sequence[str | Path]) -> str:
    """Run *command* in an empty place and return what it printed; show all of it when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the content of each file of a wheel by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
