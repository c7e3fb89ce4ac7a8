"""What a command has to say about single places, for the formats that tell it place by place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from capa_migration.rewrite.report import arrow, shape

if TYPE_CHECKING:
    from capa_codemods.api import Edit
    from capa_migration.rewrite.report import Report
    from capa_migration.rewrite.scan.sites import Survey


class Remark(NamedTuple):
    """One thing to say about one place.

    Attributes:
        line: 0 if it is about the file as a whole.
        level: `error` if something could not be done; `warning` if something should be; `note` if all may be well.
        id: The explanation of the message, for `capa explain`: a rule, a reason, or a subject such as `unreadable`.
        edit: The change that would put it right, as offsets into the bytes of the file.
    """

    path: str
    line: int
    level: Literal["error", "warning", "note"]
    id: str
    message: str
    next_step: str
    edit: Edit | None = None


def gravest_first(remarks: Iterable[Remark]) -> list[Remark]:
    """Return *remarks* with the errors first, then the warnings; for readers that take a certain number only."""
    levels = ("error", "warning", "note")
    return sorted(remarks, key=lambda remark: levels.index(remark.level))


def remarks_of(report: Report) -> Iterator[Remark]:
    """Yield what needs attention, or everything if *report* wants that, in the order of paths."""
    said = _of_survey(report.survey) if report.command == "scan" else _of_plan(report)
    return (remark for remark in said if report.everything or remark.level != "note")


def _of_survey(survey: Survey) -> Iterator[Remark]:
    # What has moved and is not served fails all the same.
    for site in sorted((*survey.sites, *survey.moved)):
        if site.support != "full":
            level: Literal["warning", "note"] = "warning" if site.support == "none" else "note"
            reason = site.reason or "Capa does not serve it in full"
            step = (
                f"`capa explain {site.reason_id}`" if site.see else "keep it on the original, or replace it"
            )
            yield Remark(site.path, site.line, level, site.reason_id, f"{shape(site)}: {reason}", step)
    for file in survey.unread:
        yield Remark(file.path, file.line, "error", "unreadable", file.reason, file.next_step)


def _of_plan(report: Report) -> Iterator[Remark]:
    for outcome in report.plan.outcomes:
        if outcome.status == "failed":
            yield Remark(outcome.path, outcome.line, "error", "unreadable", outcome.reason, outcome.next_step)
        if report.done is None:
            step = f"capa migrate apply {report.path}"
            for change, edit in zip(outcome.changes, outcome.edits, strict=True):
                yield Remark(
                    outcome.path, change.line, "warning", change.rule, arrow(change), f"`{step}`", edit
                )
        for one in outcome.findings:
            yield Remark(outcome.path, one.line, one.level, one.rule, one.message, one.next_step)
    if report.done is not None:
        for trouble in report.done.troubles:
            yield Remark(trouble.path, 0, "error", "unwritten", trouble.reason, "mend that and run again")
