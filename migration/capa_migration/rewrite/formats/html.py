"""The report page: survey, plan and history of a tree in one HTML file."""

from __future__ import annotations

from collections.abc import Iterator

from capa_migration.rewrite.page import page
from capa_migration.rewrite.report import Report


def render(report: Report) -> Iterator[str | bytes]:
    """Yield the page."""
    yield page(report.path, report.survey, report.plan)
