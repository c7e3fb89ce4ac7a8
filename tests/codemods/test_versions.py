"""Ranges of versions: disjoint only if they can have no version in common."""

import pytest

from capa_codemods.manifests.versions import are_disjoint

NEEDED = ">=2.32,<3"


@pytest.mark.parametrize(
    "asked",
    [
        "", "*", "any", "latest", ">=2", "<3", "<=2.32", "==2.32", "==2.32.0", "==2.*", "~=2.31", "~=2.32.1", ">2.31",
        "!=2.31", "^2.25", "~2", "~2.32", "2.32.3", "v2.32.1", "=2", ">=2.25,<4", "(>=2.31)", "==2.25 || ==2.32",
        "<1 || >2", "===2.99", f"=={'9' * 9_999}",
    ],
)  # fmt: skip
def test_ranges_that_may_meet_are_not_apart(asked):
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


def test_any_version_is_apart_from_none():
    assert not are_disjoint("==0.0.1", "any")
