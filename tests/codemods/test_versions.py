"""Ranges of versions: disjoint only if they can have no version in common."""

import pytest

from capa_codemods.manifests.versions import allows_older, are_disjoint

NEEDED = ">=2.32,<3"


@pytest.mark.parametrize(
    "asked",
    [
        "", "*", "any", "latest", ">=2", "<3", "<=2.32", "==2.32", "==2.32.0", "==2.*", "~=2.31", "~=2.32.1", ">2.31",
        "!=2.31", "^2.25", "~2", "~2.32", "2.32.3", "v2.32.1", "=2", ">=2.25,<4", "(>=2.31)", "==2.25 || ==2.32",
        "<1 || >2", "===2.99", f"=={'9' * 9_999}",
    ],
)  # fmt: skip
def test_ranges_that_may_overlap_are_not_disjoint(asked):
    assert not are_disjoint(asked, NEEDED)
    assert not are_disjoint(NEEDED, asked)


@pytest.mark.parametrize(
    "asked",
    [
        "==2.25.1", "== 2.25.1", "===2.31", "==2.31.*", "<2.32", "<2.32.0", "<=2.31.9", "~=2.31.0", ">=3", ">=3.0.0",
        "==3", "==3.0.1", "~2.25", "^1.2", "^0.3.1", "~=1.9", "2.25.1", "=2.31", "=2.31=py_0", ">=2,<2.32", "(<2)",
    ],
)  # fmt: skip
def test_ranges_that_cannot_meet_are_disjoint(asked):
    assert are_disjoint(asked, NEEDED)
    assert are_disjoint(NEEDED, asked)


def test_any_version_is_disjoint_from_none():
    assert not are_disjoint("==0.0.1", "any")


@pytest.mark.parametrize(
    ("asked", "is_older"),
    [
        (">=3.8", True), ("^3.8", True), ("~=3.8", True), (">=3.8,<4", True), ("*", True), ("", True), ("<4", True),
        (">=3.11", False), (">=3.8,>=3.12", False), ("~3.12", False), ("3.11", False), (">3.10.99", True),
        ("<3.9||>3.11", False),
    ],
)  # fmt: skip
def test_range_that_begins_below_another(asked, is_older):
    assert is_older == allows_older(asked, ">=3.11")
