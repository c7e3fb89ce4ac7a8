"""The report of a run: tests by folder, those left out with the reason, the slowest, the servers that took part.

A pytest plug-in while the tests run: it shows the servers and the slowest tests, writes `build/test-report.json` or
another `--report`, and fails a run that ended before each of its tests did.
A program afterwards: `python tests/reporting.py build/test-report.json` prints the whole as a table.
"""

import json
import platform
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servers._program import Program

import pytest

PROGRAMS = pytest.StashKey[list["Program"]]()
REPORT = pytest.StashKey["Report"]()
OUTCOMES = ("passed", "failed", "skipped", "xfailed")
SHOWN = 20  # of the slowest tests, and of those without an outcome


class Report:
    """Collects the outcome of each test; the set-up, the call and the tear-down of one test count once."""

    def __init__(self) -> None:
        self.collected: list[str] = []
        self._outcomes: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, phase: pytest.TestReport | pytest.CollectReport) -> None:
        """Count one phase of one test; the worst phase decides."""
        test = phase.nodeid
        self._seconds[test] += getattr(phase, "duration", 0.0)
        outcome = "xfailed" if hasattr(phase, "wasxfail") and phase.skipped else phase.outcome
        if outcome != "passed" and self._outcomes.get(test) != "failed":
            self._outcomes[test] = outcome
            self._reasons[test] = getattr(phase, "wasxfail", "") or _reason(phase)
        self._outcomes.setdefault(test, "passed")

    @property
    def missing(self) -> list[str]:
        """The tests that were collected and have no outcome: a worker or the whole run has gone before."""
        return [test for test in self.collected if test not in self._outcomes]

    def as_dict(self, programs: list["Program"]) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "python": platform.python_version(),
            "folders": self._folders(),
            "left_out": self._left_out(),
            "failed": [test for test, outcome in self._outcomes.items() if outcome == "failed"],
            "missing": self.missing,
            "slowest": self._slowest(),
            "servers": [
                {"name": each.name, "version": each.version, "path": each.path, "install": each.install}
                for each in programs
            ],
        }

    def _folders(self) -> dict[str, dict[str, float]]:
        folders: dict[str, Counter[str]] = defaultdict(Counter)
        for test, outcome in self._outcomes.items():
            folders[_folder(test)][outcome] += 1
        for test, seconds in self._seconds.items():
            folders[_folder(test)]["seconds"] += seconds
        return {name: dict(folders[name]) for name in sorted(folders)}

    def _left_out(self) -> list[dict[str, str | int]]:
        counts = Counter(
            (outcome, self._reasons[test])
            for test, outcome in self._outcomes.items()
            if outcome in {"skipped", "xfailed"}
        )
        return [
            {"how": how, "reason": reason, "tests": count} for (how, reason), count in counts.most_common()
        ]

    def _slowest(self) -> list[dict[str, str | float]]:
        slowest = sorted(self._seconds.items(), key=lambda item: -item[1])[:SHOWN]
        return [{"test": test, "seconds": round(seconds, 2)} for test, seconds in slowest]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run that is one of several have a report of its own."""
    parser.addoption("--report", default="build/test-report.json", help="the file to write the report to")


def pytest_configure(config: pytest.Config) -> None:
    """Listen, but not in a worker: the process that started it hears of all its tests."""
    config.stash[REPORT] = Report()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Listener(config.stash[REPORT]))


class _Listener:
    def __init__(self, report: Report) -> None:
        self._report = report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._report.collected = [item.nodeid for item in session.items]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._report.collected = list(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._report.add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self._report.add(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if (
            exitstatus == pytest.ExitCode.OK
            and self._report.missing
            and not session.config.option.collectonly
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.option.collectonly:
        return
    found = config.stash[REPORT].as_dict(config.stash.get(PROGRAMS, []))
    into = config.rootpath / config.option.report
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(json.dumps(found, indent=1))
    sections = {
        "servers": _servers(found),
        "slowest tests": _slowest(found),
        "without an outcome": _missing(found),
    }
    for title, lines in sections.items():
        for number, line in enumerate(lines):
            if number == 0:
                terminalreporter.section(title)
            terminalreporter.write_line(line)


def main(path: str) -> int:
    """Print the report at *path*; return 1 when a test failed or has no outcome, or none passed."""
    found = json.loads(Path(path).read_text())
    totals = Counter()
    for counts in found["folders"].values():
        totals.update(counts)
    sections = {
        f"Tests by folder (Python {found['python']})": [
            *(_line(name, counts) for name, counts in found["folders"].items()),
            _line("all", totals),
        ],
        "Servers": list(_servers(found)),
        "Left out": [f"{each['tests']:5}  {each['how']}: {each['reason']}" for each in found["left_out"]],
        "Slowest": list(_slowest(found)),
        "Failed": found["failed"],
        "Without an outcome": list(_missing(found)),
    }
    for title, lines in sections.items():
        print(f"{title}\n", *(f"  {line}\n" for line in lines or ["none"]), sep="")
    print(f"tests: {totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] or found["missing"] or not totals["passed"] else 0


def _line(name: str, counts: dict[str, float]) -> str:
    seen = "".join(f"{counts.get(outcome, 0):6} {outcome}" for outcome in OUTCOMES)
    return f"{name:24}{seen}  in {counts.get('seconds', 0):.1f} s"


def _servers(found: dict[str, Any]) -> Iterator[str]:
    for each in found["servers"]:
        here = f"{each['version']} ({each['path']})" if each["path"] else f"not installed: {each['install']}"
        yield f"{each['name']:12}{here}"


def _slowest(found: dict[str, Any]) -> Iterator[str]:
    return (f"{each['seconds']:7.2f} s  {each['test']}" for each in found["slowest"])


def _missing(found: dict[str, Any]) -> Iterator[str]:
    yield from found["missing"][:SHOWN]
    if len(found["missing"]) > SHOWN:
        yield f"and {len(found['missing']) - SHOWN} more"


def _folder(test: str) -> str:
    """Group by the tested part: `tests/core`, `tests/adapters/celery`; `tests` for files at the top."""
    parts = test.partition("::")[0].split("/")[:-1]
    return "/".join(parts[: 3 if parts[1:2] == ["adapters"] else 2]) or "tests"


def _reason(phase: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(phase.longrepr, tuple):
        return phase.longrepr[2].removeprefix("Skipped: ")
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
