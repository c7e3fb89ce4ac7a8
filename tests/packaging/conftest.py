"""The distribution as users get it: its content, and an empty environment in which it is installed."""

import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from built import Built, run
from parallel import made_once

ROOT = Path(__file__).parents[2]
PYTHON = Path("bin", "python")


@pytest.fixture(scope="session")
def wheel_files(built: Built) -> dict[str, bytes]:
    """Give the content of the wheel by name."""
    return contents(built.wheel)


@pytest.fixture(scope="session")
def fresh_python(built: Built, run_folder: Path) -> Path:
    """Give the interpreter of an environment with the wheel and the dependencies of the core only."""

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", folder / PYTHON]
        run([*pip, "install", "--no-compile", built.wheel])  # little of it is imported

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


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the content of each file of a wheel by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
