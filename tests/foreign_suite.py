"""Run another project's own tests before and after `capa migrate apply`, and compare them test by test.

Each side is a copy of the project's source distribution. Both run in one virtual environment; the copies differ in
nothing but what the rewrite changed.

The outcomes before a rewrite depend on published versions alone. Those of the chosen parts are recorded in
`foreign_outcomes/`, with the versions of all packages. On the minor version of Python of the record, these packages
are installed, whatever was published since; on another one, those that pip finds. Where Python or a package has
another version than in the record, the tests are run before the rewrite too. To record them anew:

    RECORD_OUTCOMES=1 .venv/bin/pytest tests/adapters tests/end_to_end/test_httpie.py -k "own_tests" -n 0
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foreign_packages import FOLDER, ROOT, environment, site_packages, unpack

RECORDS = Path(__file__).parent / "foreign_outcomes"

#: Variables of the user that would influence the tests.
_OUTSIDE = ("CAPA_", "PYTEST_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONPATH")


@dataclass(frozen=True)
class Suite:
    """Another project's tests.

    Attributes:
        project: Its name on the package index.
        requirements: Packages that its tests need besides Capa, as for pip.
        extra: The extra of Capa that the project will need.
        whole: Arguments for pytest that run all that can pass in this surrounding.
        chosen: Arguments that run a part of it, within half a minute.
        removed: Folders that both copies do without: a package beside the tests would count as the project's own.
    """

    project: str
    version: str
    requirements: tuple[str, ...]
    extra: str
    whole: tuple[str, ...]
    chosen: tuple[str, ...]
    removed: tuple[str, ...] = ()


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
    folder, python = prepared(suite)
    after = copy_of(suite, folder, "after")
    _run([Path(sys.executable).parent / "capa", "migrate", "apply", after])
    if not any("capa_" in path.read_text(errors="replace") for path in after.rglob("*.py")):
        raise AssertionError(f"the rewrite of {after} changed nothing, so that both sides are the original")
    before = outcomes_before(
        suite, python, arguments, lambda: outcomes(python, copy_of(suite, folder, "before"), arguments)
    )
    return Compared(before, outcomes(python, after, arguments))


def prepared(suite: Suite) -> tuple[Path, Path]:
    """Return a folder for *suite*, kept from run to run, and the Python of its environment.

    Raises:
        UnavailableError: A requirement cannot be fetched.
    """
    folder = FOLDER / f"{suite.project}-{suite.version}"
    return folder, environment(folder, suite.requirements, suite.extra, recorded_packages(suite))


def outcomes_before(
    suite: Suite, python: Path, arguments: Sequence[str], run: Callable[[], dict[str, str]]
) -> dict[str, str]:
    """Return the outcomes on the original: those recorded for these versions, or those of *run*."""
    circumstances = {
        "arguments": list(arguments),
        "requirements": requirements(suite),
        "versions": _versions(python),
    }
    if not _is_recording() and (found := recorded(_record(suite), circumstances)):
        return found
    before = run()
    if _is_recording():
        record(_record(suite), circumstances, before)
    return before


def recorded_packages(suite: Suite) -> list[str] | None:
    """Return the packages that the record of *suite* was made with; `None` if this run has to find its own."""
    if _is_recording():
        return None
    kept = json.loads(_record(suite).read_text())["circumstances"]
    if kept["requirements"] != requirements(suite):
        raise AssertionError(f"{_record(suite)} is of other requirements than these: record it anew")
    version, *packages = kept["versions"]
    return packages if version.split(".")[:2] == sys.version.split(".")[:2] else None


def requirements(suite: Suite) -> list[str]:
    """Return all that its packages are found by: its own requirements, and those of Capa with its extra."""
    capa = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*suite.requirements, *capa["dependencies"], *capa["optional-dependencies"][suite.extra]]


def _record(suite: Suite) -> Path:
    return RECORDS / f"{suite.project}-{suite.version}.json"


def _is_recording() -> bool:
    return os.environ.get("RECORD_OUTCOMES") == "1"


def recorded(path: Path, circumstances: dict[str, list[str]]) -> dict[str, str] | None:
    """Return the outcomes in the record at *path*; `None` if it is of other *circumstances*, or there is none."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    if kept["circumstances"] != circumstances:
        return None
    return {
        f"{group}::{name}": outcome
        for outcome, groups in kept["outcomes"].items()
        for group, names in groups.items()
        for name in names
    }


def record(path: Path, circumstances: dict[str, list[str]], outcomes: dict[str, str]) -> None:
    """Write *outcomes* under their *circumstances*, grouped by outcome and class."""
    grouped: dict[str, dict[str, list[str]]] = {}
    for test, outcome in sorted(outcomes.items()):
        group, _, name = test.partition("::")
        grouped.setdefault(outcome, {}).setdefault(group, []).append(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"circumstances": circumstances, "outcomes": grouped}, indent=0) + "\n")


def _versions(python: Path) -> list[str]:
    """Return the versions of Python and of all packages but Capa in the environment of *python*."""
    installed = [path.name.removesuffix(".dist-info") for path in site_packages(python).glob("*.dist-info")]
    return [sys.version.split()[0], *sorted(name for name in installed if not name.startswith("capa_core-"))]


def main(suite: Suite) -> int:
    """Compare all of *suite*, or the tests on the command line; return 1 if any test ended differently."""
    compared = compare(suite, sys.argv[1:] or suite.whole)
    print(compared.report())
    return 1 if compared.different or not compared.passed else 0


def copy_of(suite: Suite, folder: Path, side: str) -> Path:
    """Unpack the project into the subfolder *side* of *folder*, anew, and return where it is.

    Raises:
        UnavailableError: Its source cannot be fetched.
    """
    copy = folder / side
    shutil.rmtree(copy, ignore_errors=True)
    project = unpack(suite.project, suite.version, copy)
    for folder_name in suite.removed:
        shutil.rmtree(project / folder_name)
    return project


def outcomes(python: Path, copy: Path, arguments: Sequence[str]) -> dict[str, str]:
    """Run the tests that *arguments* name in *copy*, and return the outcome of each."""
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


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
