"""Findings for a person to decide: files left as they are, strings that may be names, commands, manifests, records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from capa_codemods.api import MIGRATE_FOLDER
from capa_migration.rewrite.history import FILE, History
from capa_migration.rewrite.page.changes import Changes
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.remarks import Remark, gravest_first, outcome_remarks, unread_remark
from capa_migration.rewrite.report import count
from capa_migration.rewrite.scan.libraries import Verdict
from capa_migration.rewrite.scan.sites import Survey

_LIBRARIES: dict[Verdict, tuple[Literal["warning", "note"], str]] = {
    "works": ("note", "nothing to do"),
    "untouched": ("note", "nothing to do"),
    "untried": (
        "warning",
        "try it: `capa run -- pytest` runs the project's tests on Capa and changes nothing",
    ),
    "limits": ("warning", "check whether the project needs the part that does not work"),
    "blind": ("warning", "replace it before the code that needs it moves"),
}


def findings(survey: Survey, plan: Plan, history: History, changes: Changes) -> list[dict[str, Any]]:
    """Return all findings as data, the gravest first, then in the order of paths."""
    found = [*_of_plan(plan), *_of_survey(survey, plan), *_of_records(history, changes)]
    found.sort(key=lambda one: (one.path, one.line))
    return [
        {key: value for key, value in one._asdict().items() if key != "edit"} for one in gravest_first(found)
    ]


def _of_plan(plan: Plan) -> Iterator[Remark]:
    for outcome in plan.outcomes:
        yield from outcome_remarks(outcome)


def _of_survey(survey: Survey, plan: Plan) -> Iterator[Remark]:
    failed = {outcome.path for outcome in plan.of("failed")}
    yield from (unread_remark(file) for file in survey.unread if file.path not in failed)
    for command in survey.commands:
        if command.support == "full":  # the plan has findings about the others
            yield Remark(command.path, command.line, "note", "commands", f"`{command.text}`", command.summary)
    for library, places in survey.companions:
        level, step = _LIBRARIES[library.verdict]
        message = f"`{library.name}` ({library.kind}) {library.verdict}: {library.says}"
        more = f" (and in {count(len(places) - 1, 'more place')})" if places[1:] else ""
        yield Remark(*places[0], level, library.id, message + more, step)


def _of_records(history: History, changes: Changes) -> Iterator[Remark]:
    for line in history.damaged:
        yield Remark(FILE, line, "note", "history", "the line is damaged and was skipped", "delete the line")
    for flaw in changes.flaws:
        yield Remark(
            MIGRATE_FOLDER, 0, "error", "journal", flaw, "restore the journal from a backup, or delete it"
        )
