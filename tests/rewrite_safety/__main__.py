"""Measure how safe the rewrite is, in full, and print the counts: `make safety`, or some parts of it.

    python -m rewrite_safety                every part
    python -m rewrite_safety kills errors   these

Ends with 1 if anything was counted that must not be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rewrite_safety import system_calls
from rewrite_safety.tree import Tree

PROCESSES = 2
GOOD = frozenset({"points", "killed", "failed", "recovered", "undone"})
"""What may be counted; everything else is a fault of Capa, and shown as 0 where there is none."""


def _kills(share: int) -> Counter[str]:
    return _strike(system_calls.kills, share)


def _errors(share: int) -> Counter[str]:
    return _strike(system_calls.failures, share)


def _strike(points_of: Callable[[Tree], list[system_calls.Point]], share: int) -> Counter[str]:
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=system_calls.folder()) as folder:
        tree = Tree(Path(folder, "tree"))
        for point, found in system_calls.strike(tree, points_of(tree)[share::PROCESSES]):
            total.update(found)
            if bad := {name: count for name, count in found.items() if count and name not in GOOD}:
                print(f"  {point}: {bad}", flush=True)
    return total


PARTS: dict[str, Callable[[int], Counter[str]]] = {"kills": _kills, "errors": _errors}


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
