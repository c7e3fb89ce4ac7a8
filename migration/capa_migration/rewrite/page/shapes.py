"""Shapes: call sites grouped by name and arguments, one row for all their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from capa_migration.rewrite.report import shape
from capa_migration.rewrite.scan.sites import Site, Survey

_MAX_SHAPES = 5_000
_MAX_PLACES = 40_000
"""In the whole page: more would displace diffs. `capa scan --all` lists the others."""
_MAX_PLACES_OF_ONE = 1_000


def shapes(survey: Survey) -> list[dict[str, Any]]:
    """Return the shapes of *survey*: unserved ones first, then those served in part, each by frequency."""
    rows = [*_rows(survey.sites, moved=False), *_rows(survey.moved, moved=True)]
    return sorted(rows, key=_order)


def fitting(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the *rows* that fit into the page, in their order, with as many of their places as fit.

    An SDK with very many shapes must not push all of another off the page: the most frequent shapes of each SDK and
    each level of support are taken first.
    """
    taken: Counter[tuple[str, int]] = Counter()
    turns = []
    for row in rows:
        group = (row["sdk"], _rank(row))
        taken[group] += 1
        turns.append((taken[group], row))
    turns.sort(key=lambda turn: turn[0])
    kept, left = [], _MAX_PLACES
    for _, row in turns[:_MAX_SHAPES]:
        places = row["places"][: min(left, _MAX_PLACES_OF_ONE)]
        left -= len(places)
        kept.append({**row, "places": places})
    return sorted(kept, key=_order)


def _order(row: dict[str, Any]) -> tuple[int, int, str]:
    return _rank(row), -row["count"], row["name"]


def _rank(row: dict[str, Any]) -> int:
    served = ("none", "partial", "full").index(row["support"])
    return 2 if row["moved"] and served else served  # a call that is not served fails also after it has moved


def _rows(sites: Iterable[Site], *, moved: bool) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, str, str, str], list[Site]] = {}
    for site in sites:
        groups.setdefault((site.sdk, shape(site), site.support, site.reason), []).append(site)
    for (sdk, name, support, reason), group in groups.items():
        yield {
            "sdk": sdk,
            "name": name,
            "support": support,
            "reason": reason,
            "see": group[0].see,
            "moved": moved,
            "count": len(group),
            "places": [[site.path, site.line] for site in group],
        }
