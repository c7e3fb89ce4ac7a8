"""The table of totals, a row for each SDK, for any format to lay out."""

from __future__ import annotations

from capa_migration.rewrite.scan.sites import Sums, Survey, sums

HEAD = ("SDK", "files", "imports", "calls and uses", "full", "partial", "none", "moved")


def totals(survey: Survey) -> list[list[str]]:
    """Return a row of cells under `HEAD` for each SDK, most used first."""
    return [cells(line) for line in sums(survey.sites, survey.moved)]


def cells(line: Sums) -> list[str]:
    """Return the cells of one row."""
    return [f"{value:,}" if isinstance(value, int) else value for value in line]
