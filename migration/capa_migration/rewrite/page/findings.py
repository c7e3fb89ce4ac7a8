"""What needs a person's eye: files that were left, strings that may be names, commands, manifests, damaged records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from capa_migration.rewrite.history import FILE, History
from capa_migration.rewrite.page.changes import Changes
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.remarks import Remark, gravest_first
from capa_migration.rewrite.scan.libraries import Verdict
from capa_migration.rewrite.scan.sites import Survey

_LIBRARIES: dict[Verdict, tuple[Literal["warning", "note"], str]] = {
    "works": ("note", "nothing to do"),
    "untouched": ("note", "nothing to do"),
    "untried": (
        "warning",
        "try it: `capa run -- pytest` runs the project's tests on Capa and changes nothing",
    ),
    "limits": ("warning", "see whether the project needs what it cannot do"),
    "blind": ("warning", "replace it before the code that needs it moves"),
}


def findings(survey: Survey, plan: Plan, history: History, changes: Changes) -> list[dict[str, Any]]:
    """Return all of them, the gravest first, then in the order of paths."""
    found = [*_of_plan(plan), *_of_survey(survey, plan), *_of_records(history, changes)]
    found.sort(key=lambda one: (one.path, one.line))
    return [
        {key: value for key, value in one._asdict().items() if key != "edit"} for one in gravest_first(found)
    ]


def _of_plan(plan: Plan) -> Iterator[Remark]:
    for outcome in plan.outcomes:
        if outcome.status == "failed":
            yield Remark(outcome.path, outcome.line, "error", "unreadable", outcome.reason, outcome.next_step)
        for one in outcome.findings:
            yield Remark(outcome.path, one.line, one.level, one.rule, one.message, one.next_step)


def _of_survey(survey: Survey, plan: Plan) -> Iterator[Remark]:
    told = {outcome.path for outcome in plan.of("failed")}
    for file in survey.unread:
        if file.path not in told:
            yield Remark(file.path, file.line, "error", "unreadable", file.reason, file.next_step)
    for command in survey.commands:
        if command.support == "full":  # of the others the plan tells
            yield Remark(command.path, command.line, "note", "commands", f"`{command.text}`", command.says)
    for library, places in survey.companions:
        level, step = _LIBRARIES[library.verdict]
        what = f"`{library.name}` ({library.kind}) {library.verdict}: {library.says}"
        more = f" (and in {len(places) - 1:,} more places)" if places[1:] else ""
        yield Remark(*places[0], level, library.id, what + more, step)


def _of_records(history: History, changes: Changes) -> Iterator[Remark]:
    for line in history.damaged:
        yield Remark(FILE, line, "note", "history", "the line is damaged and was skipped", "delete the line")
    for flaw in changes.flaws:
        yield Remark(".capa/migrate", 0, "error", "journal", flaw, "mend the journal, or delete it")
