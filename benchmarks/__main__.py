"""Run the benchmarks of this folder, each in a process of its own, and print one table.

    python -m benchmarks                      all of them but the backlog of a million messages
    python -m benchmarks backlog rewrite      these

Exits 1 when a benchmark could not be run. A missed bar is shown but is not a failure: figures
from one machine on one day are information, not a gate.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Bar, Figures, Row
from benchmarks.table import render

FOLDER = Path(__file__).parent
RESULT = FOLDER.parent / "build" / "benchmarks.json"
ON_DEMAND = {"backlog"}
"""Those that take a quarter of an hour: only where they are named."""
NOT_BENCHMARKS = {"__main__", "measure", "messages", "table", "tree"}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks of the command line and return the exit code."""
    options = _options(arguments)
    if options.into:
        _run_here(options.names[0], options.into)
        return 0
    rows, failed = [], []
    for name in options.names:
        print(f"running {name} …", file=sys.stderr, flush=True)
        found = _run_in_process(name)
        if found is None:
            failed.append(name)
        else:
            rows += found
    print(render(rows))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(
        json.dumps([asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows], indent=1)
    )
    if failed:
        print(f"\ncould not be run: {', '.join(failed)} (each traceback is above)", file=sys.stderr)
    return 1 if failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    known = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of: {', '.join(known)}")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(known)}")
    options.names = options.names or [name for name in known if name not in ON_DEMAND]
    return options


def _run_in_process(name: str) -> list[Row] | None:
    """Run one benchmark in a fresh interpreter, so that it neither warms caches nor leaves patches for the next."""
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "rows.json")
        command = [sys.executable, "-m", "benchmarks", name, "--into", into]
        if subprocess.run(command, cwd=FOLDER.parent, stdin=subprocess.DEVNULL, check=False).returncode:
            return None
        return [_row(fields) for fields in json.loads(into.read_text())]


def _run_here(name: str, into: Path) -> None:
    rows = importlib.import_module(f"benchmarks.{name}").run()
    into.write_text(json.dumps([asdict(row) for row in rows]))


def _row(fields: dict) -> Row:
    return Row(**fields | {"figures": Figures(**fields["figures"]), "bar": Bar(**fields["bar"])})


if __name__ == "__main__":
    sys.exit(main())
