"""Remarks: failures, findings and changes of a command, one for each place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from capa_migration.rewrite.report import arrow, shape

if TYPE_CHECKING:
    from capa_codemods.api import Edit, Outcome
    from capa_migration.rewrite.report import Report
    from capa_migration.rewrite.scan.sites import Site, Survey, Unread


class Remark(NamedTuple):
    """A message about one place.

    Attributes:
        line: 0 if it is about the file as a whole.
        level: `error` for a failure; `warning` for something to do; `note` for something that may be right as it is.
        id: The explanation of the message, for `capa explain`: a rule, a reason, or a subject such as `unreadable`.
        edit: The change that resolves it, as offsets into the bytes of the file.
    """

    path: str
    line: int
    level: Literal["error", "warning", "note"]
    id: str
    message: str
    next_step: str
    edit: Edit | None = None


def gravest_first(remarks: Iterable[Remark]) -> list[Remark]:
    """Return *remarks* with the errors first, then the warnings; for readers that accept a limited number."""
    levels = ("error", "warning", "note")
    return sorted(remarks, key=lambda remark: levels.index(remark.level))


def remarks_of(report: Report) -> Iterator[Remark]:
    """Yield the errors and warnings of *report*, or everything if it asks for that, in the order of paths."""
    found = _of_survey(report.survey) if report.command == "scan" else _of_plan(report)
    return (remark for remark in found if report.everything or remark.level != "note")


def outcome_remarks(outcome: Outcome) -> Iterator[Remark]:
    """Yield the failure and the findings of *outcome*."""
    if outcome.status == "failed":
        yield Remark(outcome.path, outcome.line, "error", "unreadable", outcome.reason, outcome.next_step)
    for one in outcome.findings:
        yield Remark(outcome.path, one.line, one.level, one.rule, one.message, one.next_step)


def next_step_of(site: Site) -> str:
    """Return the next step at a call that is not served in full."""
    if site.instead:
        return f"use {site.instead}"
    return f"`capa explain {site.reason_id}`" if site.see else "keep it on the original, or replace it"


def unread_remark(file: Unread) -> Remark:
    """Return the error about a *file* that the scan could not read."""
    return Remark(file.path, file.line, "error", "unreadable", file.reason, file.next_step)


def _of_survey(survey: Survey) -> Iterator[Remark]:
    # A call that has moved and is not served fails too.
    for site in sorted((*survey.sites, *survey.moved)):
        if site.support != "full":
            level: Literal["warning", "note"] = "warning" if site.support == "none" else "note"
            reason = site.reason or "Capa does not serve it in full"
            step = next_step_of(site)
            yield Remark(site.path, site.line, level, site.reason_id, f"{shape(site)}: {reason}", step)
    for one in survey.uncertain:
        yield Remark(one.path, one.line, "warning", "uncertain", f"{one.name}: {one.reason}", one.next_step)
    for pin in survey.excluding:
        yield Remark(pin.path, pin.line, "error", pin.rule, pin.reason, pin.next_step)
    yield from map(unread_remark, survey.unread)


def _of_plan(report: Report) -> Iterator[Remark]:
    for outcome in report.plan.outcomes:
        if report.done is None:
            step = f"capa migrate apply {report.path}"
            for change, edit in zip(outcome.changes, outcome.edits, strict=True):
                yield Remark(
                    outcome.path, change.line, "warning", change.rule, arrow(change), f"`{step}`", edit
                )
        yield from outcome_remarks(outcome)
    if report.done is not None:
        for trouble in report.done.troubles:
            yield Remark(trouble.path, 0, "error", "unwritten", trouble.reason, "fix the cause and run again")
