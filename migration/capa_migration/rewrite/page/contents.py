"""The contents of the page as plain data, without the diffs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from capa_codemods.api import __version__
from capa_migration.rewrite.history import History
from capa_migration.rewrite.install_note import note_of_edits
from capa_migration.rewrite.page.abilities import abilities
from capa_migration.rewrite.page.changes import Changes
from capa_migration.rewrite.page.explanations import explanations
from capa_migration.rewrite.page.findings import findings
from capa_migration.rewrite.page.shapes import fitting, shapes
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.scan.sites import Survey, parted, sums
from capa_migration.rewrite.scan.survey import known_maps

_MAX_FINDINGS = 3_000


def contents(path: str, survey: Survey, plan: Plan, history: History, changes: Changes) -> dict[str, Any]:
    """Return the data of the page about the tree at *path*."""
    maps, found = known_maps(), shapes(survey)
    kept = fitting(found)
    remarks = findings(survey, plan, history, changes)
    return {
        # Not the whole path: it would disclose the folders of this machine to readers of the page.
        "name": os.path.basename(survey.root) or survey.root,
        "path": path,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "seen": survey.seen,
        "numbers": _numbers(survey, plan, changes),
        "sdks": _sdks(survey),
        "packages": {one.name: one.package for one in maps if one.modules},
        "shapes": kept,
        "shapes_left_out": len(found) - len(kept),
        "explanations": explanations(kept),
        "abilities": abilities(survey, maps),
        "changes": len(changes.files),
        "install": note_of_edits(edit for file in changes.files for edit in file.edits),
        "findings": remarks[:_MAX_FINDINGS],
        "findings_left_out": len(remarks[_MAX_FINDINGS:]),
        "history": [
            {
                "at": entry.at.isoformat(),
                "by": entry.by,
                "moved": entry.moved,
                "movable": entry.movable,
                "staying": entry.staying,
            }
            for entry in history.entries
        ],
    }


def _numbers(survey: Survey, plan: Plan, changes: Changes) -> dict[str, int]:
    movable = sum(site.support != "none" for site in survey.sites)
    moved, unserved = parted(survey.moved)
    return {
        "sites": len(survey.sites) + len(survey.moved),
        "files": len({site.path for site in (*survey.sites, *survey.moved)}),
        "movable": movable,
        "staying": len(survey.sites) - movable + len(unserved),
        "moved": len(moved),
        "proven": len({file.path for file in changes.files}),
        "ready": changes.count("ready"),
        "written": changes.count("written"),
        "failed": len(plan.failures),
    }


def _sdks(survey: Survey) -> list[dict[str, Any]]:
    """Return a line of numbers for each SDK, most used first; files, imports and calls include moved ones."""
    wholes = {line.sdk: line for line in sums([*survey.sites, *survey.moved])}
    left = {line.sdk: line for line in sums(survey.sites, survey.moved)}
    kinds = ("full", "partial", "none", "moved")
    lines = [
        {**whole._asdict(), **{kind: getattr(left[sdk], kind) for kind in kinds}}
        for sdk, whole in wholes.items()
    ]
    return sorted(lines, key=lambda line: (-line["imports"] - line["calls"], line["sdk"]))
