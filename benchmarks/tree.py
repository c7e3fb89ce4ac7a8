"""A large tree of Python files, and the commands that the benchmarks run over it."""

import contextlib
import itertools
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import command_cpu_s

CAPA = [sys.executable, "-c", "import sys; from capa_migration.cli import main; sys.exit(main())"]
WORDS = "requests|celery|kombu|pyapollo|apollo"
SDKS = ("requests", "celery", "kombu")


def search_for_sdks(tree: Path) -> list[str]:
    """Return the command that lists the files of *tree* that name an SDK."""
    return [installed("rg"), "--no-ignore", "-l", "-t", "py", WORDS, str(tree)]


@contextlib.contextmanager
def large_tree() -> Iterator[tuple[Path, int]]:
    """Copy the standard library and all installed packages, twice, and yield their folder and number of files."""
    with tempfile.TemporaryDirectory() as folder:
        for copy, name in itertools.product(("one", "two"), ("stdlib", "purelib")):
            # Under its own name: a folder called site-packages is not the user's code and is skipped.
            source = Path(sysconfig.get_path(name))
            skipped = shutil.ignore_patterns("site-packages", "__pycache__", "*.so", "*.pyc")
            shutil.copytree(source, Path(folder, copy, name), ignore=skipped, ignore_dangling_symlinks=True)
            # A package called celery is a copy of the SDK and is skipped; under another name it is an application.
            for sdk in SDKS:
                if Path(folder, copy, name, sdk).is_dir():
                    Path(folder, copy, name, sdk).rename(Path(folder, copy, name, f"{sdk}_app"))
        yield Path(folder), sum(1 for _ in Path(folder).rglob("*.py"))


def cpu_s(command: list[str], environment: dict[str, str]) -> float:
    """Run *command*, of ours or of a peer, and return its CPU time in seconds."""
    # 1: files would change; 2: a file of the libraries is deliberately invalid in this version of Python.
    return command_cpu_s(command, ok=(0, 1, 2), environment=environment)


def installed(tool: str) -> str:
    """Return the path of *tool*."""
    found = shutil.which(tool, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        raise RuntimeError(f"{tool} is not installed, and this benchmark compares with it. Install it")
    return found
