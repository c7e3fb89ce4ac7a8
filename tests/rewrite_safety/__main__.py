"""Measure how safe the rewrite is, in full, and print the counts: `make safety`, or some parts of it.

    python -m rewrite_safety                every part
    python -m rewrite_safety kills errors   these

    kills      fifty files, SIGKILL at every file call of apply and of undo
    errors     the same files, every call that writes fails, with ENOSPC, EIO, EACCES, EROFS and EINTR
    libraries  the standard library and all installed packages, with frequent modules in place of an SDK
    sdks       the same, with the import maps of the installed adapters
    programs   random programs with SDKs in odd places

Ends with 1 if anything was counted that must not be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rewrite_safety import libraries, programs, system_calls
from rewrite_safety.tree import MEMORY, Tree

from capa_codemods.discovery import import_map_paths

PROCESSES = 2
PROGRAMS = 3_000
GOOD = frozenset(
    {
        *("points", "killed", "failed", "recovered", "undone"),
        *("files", "programs", "changed", "clean", "refused", "same program"),
    }
)
"""The counts that are not faults; each other count is a fault of Capa, and shown as 0 if there is none."""


def _kills(share: int) -> Counter[str]:
    return _strike(system_calls.kills, share)


def _errors(share: int) -> Counter[str]:
    return _strike(system_calls.failures, share)


def _strike(points_of: Callable[[Tree], list[system_calls.Point]], share: int) -> Counter[str]:
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        tree = Tree(Path(folder, "tree"))
        for point, found in system_calls.strike(tree, points_of(tree)[share::PROCESSES]):
            total.update(found)
            if bad := {name: count for name, count in found.items() if count and name not in GOOD}:
                print(f"  {point}: {bad}", flush=True)
    return total


def _libraries(share: int) -> Counter[str]:
    return _rewritten([libraries.everywhere()], share)


def _sdks(share: int) -> Counter[str]:
    return _rewritten([Path(path).read_text() for path in import_map_paths()], share)


def _rewritten(maps: Sequence[str], share: int) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        return libraries.rewrite(libraries.installed_files()[share::PROCESSES], Path(folder), maps)


def _programs(share: int) -> Counter[str]:
    return programs.judge(range(share, PROGRAMS, PROCESSES), import_map_paths())


PARTS: dict[str, Callable[[int], Counter[str]]] = {
    "kills": _kills,
    "errors": _errors,
    "libraries": _libraries,
    "sdks": _sdks,
    "programs": _programs,
}


def main(names: list[str]) -> int:
    """Run the parts that are named, or all, and return the exit code."""
    bad = False
    for name in names or PARTS:
        start = time.monotonic()
        with ProcessPoolExecutor(PROCESSES) as pool:
            total: Counter[str] = Counter()
            for part in pool.map(PARTS[name], range(PROCESSES)):
                total.update(part)
        bad |= any(count for what, count in total.items() if what not in GOOD)
        counts = ", ".join(f"{count:,} {what}" for what, count in total.items())
        print(f"{name}: {counts} in {time.monotonic() - start:.0f} s", flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
