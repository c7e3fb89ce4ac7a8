"""The cost of scanning a large tree, from the start and when nothing has changed, compared with `rg -l`."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.measure import QUIET, Row, bytecode_kept, interleave, ratio_at_most
from benchmarks.tree import CAPA, cpu_s, large_tree, search_for_sdks

SCAN = [*CAPA, "scan"]


def run() -> list[Row]:
    """Scan the standard library and all installed packages, twice."""
    with large_tree() as (tree, count), bytecode_kept() as environment:
        return _rows(tree, environment, f"{count:,} Python files")


def _rows(tree: Path, environment: dict[str, str], note: str) -> list[Row]:
    search, scan = search_for_sdks(tree), [*SCAN, str(tree)]

    def cold() -> float:
        shutil.rmtree(tree / ".capa-migrate", ignore_errors=True)
        return cpu_s(scan, environment)

    colds = interleave(lambda: cpu_s(search, environment), cold, rounds=3)
    subprocess.run(scan, env=environment, check=False, **QUIET)
    warms = interleave(lambda: cpu_s(search, environment), lambda: cpu_s(scan, environment), rounds=5)
    return [
        Row("scan a tree, no cache", "rg -l (CPU)", colds, ratio_at_most(60), note=note),
        Row("scan a tree, stat cache", "rg -l (CPU)", warms, ratio_at_most(2)),
    ]
