"""A rewrite that is killed at a system call, or in which one fails: some calls of each kind, other ones each day.

All of them, some four thousand, are struck by `make safety`.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from rewrite_safety import system_calls
from rewrite_safety.tree import MEMORY, Tree

GOOD = ("points", "killed", "failed", "recovered", "undone")
TODAY = int(time.time()) // 86_400
KILLS, FAILURES = 30, 20


@pytest.fixture(scope="module")
def tree():
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Tree(Path(folder, "tree"))


@pytest.mark.server("strace")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("points_of", "count", "struck"),
    [(system_calls.kills, KILLS, "killed"), (system_calls.failures, FAILURES, "points")],
    ids=["killed", "failing"],
)
def test_nothing_is_torn_or_left_over_and_all_can_be_undone(tree, points_of, count, struck):
    points = system_calls.sample(points_of(tree), count, TODAY)
    total = Counter()
    for point, found in system_calls.strike(tree, points):
        total.update(found)
        faults = {what: number for what, number in found.items() if number and what not in GOOD}

        assert not faults, f"{point}: {faults}"
    assert (count, count, count) == (total[struck], total["recovered"], total["undone"])
