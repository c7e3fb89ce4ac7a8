"""Ranges of versions, and whether two of them are known to have no version in common."""

from __future__ import annotations

import re
from typing import NamedTuple

_CLAUSE = re.compile(r"\s*\(?\s*(===?|~=|!=|<=|>=|<|>|=|\^|~)?\s*v?(\d{1,18}(?:\.\d{1,18})*)(?!\d)(\.\*)?")

Release = tuple[int, ...]


class _Range(NamedTuple):
    """The releases from *low* on up to *high*, which is none of them; without *high* all from *low* on."""

    low: Release = ()
    high: Release | None = None


def are_disjoint(one: str, other: str) -> bool:
    """Return whether no version is in both ranges, which are in the syntax of pip, Poetry, Pipenv or conda.

    In doubt, as with a suffix behind the numbers (`rc1`) or `||`, they are not.
    """
    return any(
        _is_below(this, that) or _is_below(that, this)
        for this in map(_range, one.split(","))
        for that in map(_range, other.split(","))
    )


def allows_older(one: str, other: str) -> bool:
    """Return whether the range *one* begins below the range *other*, as `>=3.8` does below `>=3.11`."""
    lows = [max(_range(clause).low for clause in versions.split(",")) for versions in (one, other)]
    return "|" not in one and lows[0] < lows[1]


def _is_below(one: _Range, other: _Range) -> bool:
    return one.high is not None and one.high <= other.low


def _range(clause: str) -> _Range:
    found = _CLAUSE.match(clause)
    if found is None or "|" in clause or found[1] == "!=":
        return _Range()
    operator, release = found[1] or "=", tuple(map(int, found[2].split(".")))
    low = _trimmed(release)
    if operator in {">", ">="}:
        return _Range(low if operator == ">=" else _right_after(low))
    if operator in {"<", "<="}:
        return _Range(high=low if operator == "<" else _right_after(low))
    if operator in {"==", "==="} and not found[3]:
        return _Range(low, _right_after(low))
    return _Range(low, _next(release[: _fixed(operator, release)]))


def _fixed(operator: str, release: Release) -> int:
    """Return how many numbers of *release* the upper bound under *operator* keeps, the last raised by one."""
    if operator == "~=":
        return max(1, len(release) - 1)
    if operator == "~":
        return 2
    if operator == "^":
        return next((at for at, number in enumerate(release, 1) if number), len(release))
    return len(release)  # `==2.31.*`, and conda's `=2.31`, which is the same


def _trimmed(release: Release) -> Release:
    while release and not release[-1]:
        release = release[:-1]
    return release


def _right_after(release: Release) -> Release:
    return (*release, 0)  # as tuples compare: above it, and not above any that is


def _next(release: Release) -> Release:
    return (*release[:-1], release[-1] + 1)
