"""Call sites, grouped by their shape: one row for all places where the same name is called with the same arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from capa_migration.rewrite.report import shape
from capa_migration.rewrite.scan.sites import Site, Survey

_MOST_SHAPES = 5_000
_MOST_PLACES = 40_000
"""In the whole page: more would take the room from the diffs. The rest is listed by `capa scan --all`."""
_MOST_PLACES_OF_ONE = 1_000


def shapes(survey: Survey) -> list[dict[str, Any]]:
    """Return the shapes of *survey*: what is not served first, then what is in part, then the most frequent."""
    rows = [*_rows(survey.sites, moved=False), *_rows(survey.moved, moved=True)]
    return sorted(rows, key=_order)


def that_fit(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of *rows* that find room, in their order, with as many of their places as do.

    What one SDK uses in very many shapes must not push all of another off the page: of each SDK, and of how well it
    is served, the most frequent shapes come first.
    """
    held: Counter[tuple[str, int]] = Counter()
    turns = []
    for row in rows:
        group = (row["sdk"], _rank(row))
        held[group] += 1
        turns.append((held[group], row))
    turns.sort(key=lambda turn: turn[0])
    kept, left = [], _MOST_PLACES
    for _, row in turns[:_MOST_SHAPES]:
        places = row["places"][: min(left, _MOST_PLACES_OF_ONE)]
        left -= len(places)
        kept.append({**row, "places": places})
    return sorted(kept, key=_order)


def _order(row: dict[str, Any]) -> tuple[int, int, str]:
    return _rank(row), -row["count"], row["name"]


def _rank(row: dict[str, Any]) -> int:
    return 2 if row["moved"] else ("none", "partial", "full").index(row["support"])


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
