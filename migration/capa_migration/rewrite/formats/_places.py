"""Places of a survey as lines, grouped by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from capa_migration.rewrite.report import Report, shape
from capa_migration.rewrite.scan.sites import Site, Survey

_MAX_PLACES = 10
"""Places for one reason: a missing adapter would otherwise fill a hundred lines."""


class Place(NamedTuple):
    """One place: its state is the support of a call or command, `uncertain` or `failed`.

    Attributes:
        line: 0 for the whole file.
    """

    path: str
    line: int
    state: str
    text: str


def places(report: Report) -> Iterator[str]:
    """Yield a line for each file of the survey that has something to tell, and under it one for each place."""
    survey = report.survey
    shown, left_out = _listed(sorted([*survey.sites, *survey.moved]), everything=report.everything)
    moved = frozenset(survey.moved)
    found = [_of_site(site, is_moved=site in moved) for site in shown]
    yield from grouped(
        [*found, *_of_commands(survey), *_uncertain(survey), *_excluding(survey), *unread_places(survey)]
    )
    yield from [""] if left_out else []
    for (sdk, support, reason), number in left_out.items():
        yield f"… and {number:,} more places of {sdk}: {support}: {reason} (--all lists them)"


def grouped(found: Sequence[Place]) -> Iterator[str]:
    """Yield *found* by file, in the order of the paths and lines, their columns aligned."""
    width = max((len(str(one.line)) for one in found), default=0)
    state_width = max((len(one.state) for one in found), default=0)
    for path, held in groupby(sorted(found), lambda one: one.path):
        yield ""
        yield f"{path}:"
        for one in held:
            yield f"  {one.line or '':>{width}}  {one.state:<{state_width}}  {one.text}"


def unread_places(survey: Survey, prefix: str = "") -> Iterator[Place]:
    """Yield the files of *survey* that could not be read, and the parts of such, with *prefix* before their paths."""
    for file in survey.unread:
        text = f"{file.reason}. Next: {file.next_step}. [unreadable]"
        yield Place(prefix + file.path, file.line, "failed", text)


def _of_site(site: Site, *, is_moved: bool) -> Place:
    reason = f": {site.reason}" if site.reason else ""
    instead = f"; use {site.instead}" if site.instead else ""
    ident = f" [{site.reason_id}]" if site.reason_id else ""
    state = f"moved, {site.support}" if is_moved else site.support
    return Place(site.path, site.line, state, f"{shape(site)}{reason}{instead}{ident}")


def _of_commands(survey: Survey) -> Iterator[Place]:
    for one in survey.commands:
        yield Place(one.path, one.line, one.support, f"{one.text}: {one.effect} [commands]")


def _uncertain(survey: Survey) -> Iterator[Place]:
    for one in survey.uncertain:
        text = f"{one.name}: {one.reason}. Next: {one.next_step}. [uncertain]"
        yield Place(one.path, one.line, "uncertain", text)


def _excluding(survey: Survey) -> Iterator[Place]:
    for one in survey.excluding:
        yield Place(one.path, one.line, "failed", f"{one.reason}. Next: {one.next_step}. [{one.rule}]")


def _listed(sites: Sequence[Site], *, everything: bool) -> tuple[list[Site], Counter[tuple[str, str, str]]]:
    """Return the sites to list, and the number left out for each reason that is listed often enough."""
    if everything:
        return list(sites), Counter()
    given: Counter[tuple[str, str, str]] = Counter()
    shown = []
    for site in sites:
        key = (site.sdk, site.support, site.reason)
        given[key] += site.support != "full"
        if 0 < given[key] <= _MAX_PLACES:
            shown.append(site)
    return shown, Counter({key: n - _MAX_PLACES for key, n in given.items() if n > _MAX_PLACES})
