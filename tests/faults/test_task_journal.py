"""The judge of runs with kills counts what was lost, what ran twice, and what nobody sent."""

import subprocess
import sys
from pathlib import Path

import pytest
from celery_fleet import JUDGE


@pytest.mark.parametrize(
    ("ran", "code", "counts"),
    [
        ("1\n2\n3\n", 0, "done=3 lost=0 duplicated=0 unknown=0"),
        ("3\n1\n2\n1\n1\n", 0, "done=3 lost=0 duplicated=2 unknown=0"),
        ("1\n2\n", 1, "done=2 lost=1 duplicated=0 unknown=0"),
        ("1\n2\n3\n4\n", 1, "done=3 lost=0 duplicated=0 unknown=1"),
        ("1:a\n2:b\n3:c:d\n1:e\n", 0, "done=3 lost=0 duplicated=1 unknown=0"),
        ("1\n2\n3", 1, "done=2 lost=1 duplicated=0 unknown=0"),
    ],
)
def test_the_judge_counts(tmp_path: Path, ran: str, code: int, counts: str) -> None:
    sent, journal = tmp_path / "sent", tmp_path / "ran"
    sent.write_text("1\n2\n3\n")
    journal.write_text(ran)
    done = subprocess.run([sys.executable, "-I", JUDGE, sent, journal], capture_output=True, text=True)

    assert (code, f"sent=3 {counts}\n") == (done.returncode, done.stdout)
