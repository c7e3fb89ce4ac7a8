"""Run another project's own tests before and after `capa migrate apply`, and compare them test by test.

Each side is a copy of the project's source distribution. Both run in one virtual environment, made once for each
version of Python under `build/suites/`; the copies differ in nothing but what the rewrite changed.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "suites" / "{}.{}".format(*sys.version_info)

#: Variables of the user that would change what the tests see.
_OUTSIDE = ("CAPA_", "PYTEST_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONPATH")


class UnavailableError(Exception):
    """A file could not be fetched from the package index."""


@dataclass(frozen=True)
class Suite:
    """Another project's tests.

    Attributes:
        project: Its name on the package index.
        requirements: Packages that its tests need besides Capa, as for pip.
        extra: The extra of Capa that the project will need.
        whole: Arguments for pytest that run all that can pass in this surrounding.
        chosen: Arguments that run a part of it, within half a minute.
    """

    project: str
    version: str
    requirements: tuple[str, ...]
    extra: str
    whole: tuple[str, ...]
    chosen: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """The outcome of each test on both sides; `missing` for a test that one side does not have."""

    before: dict[str, str]
    after: dict[str, str]

    @property
    def different(self) -> dict[str, tuple[str, str]]:
        """The tests that ended differently, with both outcomes."""
        names = sorted({*self.before, *self.after})
        pairs = {name: (self.before.get(name, "missing"), self.after.get(name, "missing")) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    @property
    def passed(self) -> int:
        """How many tests passed before the rewrite."""
        return list(self.before.values()).count("passed")

    def report(self) -> str:
        """Return a few lines: how many of each outcome, and each difference."""
        lines = [f"before: {_counted(self.before)}", f"after:  {_counted(self.after)}"]
        lines += [f"  {name}: {before} → {after}" for name, (before, after) in self.different.items()]
        return "\n".join([*lines, f"{len(self.different)} of {len(self.before)} tests ended differently"])


def compare(suite: Suite, arguments: Sequence[str]) -> Compared:
    """Run the tests that *arguments* name on both sides.

    Raises:
        UnavailableError: The project or its requirements cannot be fetched.
    """
    folder = FOLDER / suite.project
    python = _environment(suite, folder)
    before, after = (_copy(suite, folder, side) for side in ("before", "after"))
    _run([Path(sys.executable).parent / "capa", "migrate", "apply", after])
    return Compared(*(_outcomes(python, side, arguments) for side in (before, after)))


def main(suite: Suite) -> int:
    """Compare the whole of *suite*, or what the command line names; return 1 if any test ended differently."""
    compared = compare(suite, sys.argv[1:] or suite.whole)
    print(compared.report())
    return 1 if compared.different or not compared.passed else 0


def _environment(suite: Suite, folder: Path) -> Path:
    python = folder / "venv" / "bin" / "python"
    wanted = "\n".join(suite.requirements)
    done = folder / "requirements.txt"
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", folder / "venv"])
        _fetch(
            [python, "-m", "pip", "install", "--quiet", *suite.requirements, "-e", f"{ROOT}[{suite.extra}]"]
        )
        download = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        _fetch([*download, "--dest", folder, f"{suite.project}=={suite.version}"])
        done.write_text(wanted)
    return python


def _copy(suite: Suite, folder: Path, side: str) -> Path:
    copy = folder / side
    shutil.rmtree(copy, ignore_errors=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(copy, filter="data")
    return copy / f"{suite.project}-{suite.version}"


def _outcomes(python: Path, copy: Path, arguments: Sequence[str]) -> dict[str, str]:
    results = copy.parent / "results.xml"
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OUTSIDE)}
    done = subprocess.run(
        command, cwd=copy, env=kept, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if not results.exists():
        raise AssertionError(f"{command} ran no tests: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found: dict[str, str] = {}
    for case in ET.parse(results).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}".replace(str(copy), "…")
        kinds = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        found[name] = {"failure": "failed"}.get(kinds[0], kinds[0]) if kinds else found.get(name, "passed")
    return found


def _counted(outcomes: dict[str, str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(outcomes.values()).items()))


def _fetch(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(map(str, command))}: {done.stderr[-500:]}")


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
