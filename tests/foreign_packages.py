"""Another project's source distribution, and an environment with the packages that its tests need.

Both are made once and kept under `build/suites/`. Most of the packages are in this environment too, in the same
version: these are linked into the other one, at a tenth of the cost of an installation. pip installs the rest.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

from parallel import made_once

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "suites" / "{}.{}".format(*sys.version_info)

# pip asks the build backend of a source distribution for its metadata, even where it only downloads it, and installs
# the backend first. This one, in the place of setuptools, gives the metadata that the distribution itself holds.
_BACKEND = """\
import email
import pathlib
import sys


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    text = pathlib.Path("PKG-INFO").read_text("utf-8")
    metadata = email.message_from_string(text)
    folder = pathlib.Path(directory, f"{metadata['Name']}-{metadata['Version']}.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text(text, "utf-8")
    return folder.name


__legacy__ = sys.modules[__name__]
"""


class UnavailableError(Exception):
    """A file could not be fetched from the package index."""


def unpack(project: str, version: str, folder: Path) -> Path:
    """Unpack the source distribution of *project*, whose build backend is that of setuptools, and return its folder.

    Raises:
        UnavailableError: It cannot be fetched.
    """
    name = f"{project}-{version}"
    fetched = made_once(FOLDER / f"{name}-source", lambda new: _download(project, version, new))
    with tarfile.open(fetched / f"{name}.tar.gz") as archive:
        # Python 3.11.2, which Debian ships, has no filters yet.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder / name


def _download(project: str, version: str, folder: Path) -> None:
    backend = folder / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(_BACKEND)
    only_source = ("--no-deps", "--no-binary", ":all:", "--use-pep517", "--no-build-isolation")
    _pip("download", *only_source, "--dest", folder, f"{project}=={version}", PYTHONPATH=str(backend.parent))


def environment(
    folder: Path, requirements: Sequence[str], extra: str, packages: Sequence[str] | None
) -> Path:
    """Return the Python of the virtual environment in *folder*: Capa as it is in this tree, and packages.

    Args:
        requirements: What the packages are found by where *packages* is `None`, together with *extra* of Capa.
        packages: All of them but Capa, each as `name-version`.

    Raises:
        UnavailableError: A package cannot be fetched.
    """
    python = folder / "venv" / "bin" / "python"
    wanted = "\n".join(requirements if packages is None else packages)
    done = folder / "packages.txt"
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder / "venv", symlinks=True)  # a pip of its own would take half of the time
        if packages is None:
            _install(python, *requirements, "-e", f"{ROOT}[{extra}]")
        else:
            _fill(python, packages)
        done.write_text(wanted)
    return python


def _fill(python: Path, packages: Sequence[str]) -> None:
    here, there = Path(sysconfig.get_path("purelib")), site_packages(python)
    _link(importlib.metadata.distribution("capa-core"), there)
    missing = []
    for name in packages:
        metadata = here / f"{name}.dist-info"
        if metadata.exists():
            _link(importlib.metadata.Distribution.at(metadata), there)
        else:
            missing.append("==".join(name.rsplit("-", 1)))
    if missing:
        _install(python, "--no-deps", *missing)


def _link(distribution: importlib.metadata.Distribution, folder: Path) -> None:
    """Link the modules of *distribution* into *folder*, with their bytecode; its programs start this environment."""
    for file in distribution.files or ():
        if ".." not in file.parts:
            original = Path(str(file.locate()))
            _link_file(original, folder / file)
            bytecode = Path(importlib.util.cache_from_source(str(original)))
            if file.suffix == ".py" and bytecode.exists():
                _link_file(bytecode, folder / file.parent / "__pycache__" / bytecode.name)


def _link_file(original: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.hardlink_to(original)
    except FileExistsError:  # bytecode that the distribution lists itself
        pass
    except OSError:  # on another file system
        shutil.copy2(original, path)


def site_packages(python: Path) -> Path:
    """Return the folder of packages in the virtual environment of *python*."""
    (found,) = python.parents[1].glob("lib/python*/site-packages")
    return found


def _install(python: Path, *arguments: str) -> None:
    # The tests import little of what is installed: compiling all of it would take half of the time.
    _pip("--python", python, "install", "--no-compile", *arguments)


def _pip(*arguments: str | Path, **variables: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(map(str, command))}: {done.stderr[-500:]}")
