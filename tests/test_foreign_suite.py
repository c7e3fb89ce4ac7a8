"""Recorded outcomes of other projects' tests stand for a run in the same circumstances, and in no others."""

from pathlib import Path

import pytest
from foreign_suite import RECORDS, Compared, record, recorded

CIRCUMSTANCES = {"arguments": ["tests"], "versions": ["3.11.7", "requests-2.34.2"]}
OUTCOMES = {
    "tests.a.TestA::test_x[1::2]": "passed",
    "tests.a.TestA::test_y": "skipped",
    "tests.b::test_z": "failed",
}


def test_a_record_gives_back_what_was_recorded(tmp_path: Path) -> None:
    record(tmp_path / "some.json", CIRCUMSTANCES, OUTCOMES)

    assert OUTCOMES == recorded(tmp_path / "some.json", CIRCUMSTANCES)


@pytest.mark.parametrize(
    "other",
    [{"arguments": ["tests", "-x"]}, {"versions": ["3.12.1", "requests-2.34.2"]}, {"versions": ["3.11.7"]}],
)
def test_a_record_of_other_circumstances_is_not_used(tmp_path: Path, other: dict[str, list[str]]) -> None:
    record(tmp_path / "some.json", CIRCUMSTANCES, OUTCOMES)

    assert recorded(tmp_path / "some.json", {**CIRCUMSTANCES, **other}) is None
    assert recorded(tmp_path / "none.json", CIRCUMSTANCES) is None


def test_a_difference_from_the_record_is_found() -> None:
    after = {**OUTCOMES, "tests.b::test_z": "passed", "tests.b::test_new": "passed"}

    assert {"tests.b::test_new", "tests.b::test_z"} == Compared(OUTCOMES, after).different.keys()


def test_each_suite_has_a_record() -> None:
    assert {"celery-5.7.0", "httpie-3.2.4", "kombu-5.7.0", "requests-2.25.1", "requests-2.34.2"} == {
        path.stem for path in RECORDS.glob("*.json")
    }
