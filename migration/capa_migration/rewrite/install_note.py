"""The note about installing Capa, where changes or warnings show its requirement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from capa_codemods.api import CAPA_DISTRIBUTION

if TYPE_CHECKING:
    from capa_codemods.api import Edit
    from capa_migration.rewrite.plan import Plan


def note_of_plan(plan: Plan) -> str:
    """Return the note if *plan* requires Capa in a manifest, or warns of one that should; else an empty text."""
    if note := note_of_edits(edit for outcome in plan.outcomes for edit in outcome.edits):
        return note
    warnings = (one for outcome in plan.outcomes for one in outcome.findings if one.level == "warning")
    return _note() if any(f"{CAPA_DISTRIBUTION}[" in one.message for one in warnings) else ""


def note_of_edits(edits: Iterable[Edit]) -> str:
    """Return the note if one of *edits* requires Capa in a manifest; else an empty text."""
    return _note() if any(CAPA_DISTRIBUTION.encode() in edit.new for edit in edits) else ""


def _note() -> str:
    from capa_core.installing import NOT_ON_AN_INDEX

    return NOT_ON_AN_INDEX
