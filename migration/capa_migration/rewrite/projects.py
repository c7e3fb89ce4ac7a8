"""Several projects in one report, each under a name that no other has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from capa_migration.rewrite.scan.sites import Survey


class Project(NamedTuple):
    """One project: the name of its folder, its paths as the user gave them, and what a scan found."""

    name: str
    path: str
    survey: Survey


class Several(NamedTuple):
    """The report of a command on several projects, with its exit code."""

    projects: Sequence[Project]
    exit_code: int


def named(paths: Iterable[str], surveys: Sequence[Survey]) -> list[Project]:
    """Return the projects of *surveys*, given with the *paths* of each."""
    names = _names([survey.root for survey in surveys])
    return [Project(*one) for one in zip(names, paths, surveys, strict=True)]


def _names(roots: Sequence[str]) -> list[str]:
    """Return the last parts of each of *roots*, as many as it takes to tell them apart."""
    parts = [root.strip("/").split("/") for root in roots]
    depths = [1] * len(roots)
    names = _joined(parts, depths)
    while alike := [name for name, number in Counter(names).items() if number > 1]:
        depths = [depth + (name in alike) for depth, name in zip(depths, names, strict=True)]
        names = _joined(parts, depths)
    return names


def _joined(parts: Sequence[Sequence[str]], depths: Sequence[int]) -> list[str]:
    return ["/".join(one[-depth:]) for one, depth in zip(parts, depths, strict=True)]
