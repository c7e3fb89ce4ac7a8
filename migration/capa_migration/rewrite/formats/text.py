"""Lines for a terminal; for `diff` a patch for `git apply`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_migration.rewrite.report import Report
    from capa_migration.rewrite.scan.sites import Site, Survey

_MAX_SHAPES = 20
_MAX_PLACES = 10
"""Places for one reason: a missing adapter would otherwise fill a hundred lines."""


def render(report: Report) -> Iterator[str | bytes]:
    """Yield the report in lines, or the patch."""
    if report.command == "diff":
        from capa_migration.rewrite.report import diff

        yield from diff(report.plan)
        return
    yield from with_line_ends({"scan": _scan, "check": _check, "apply": _apply}[report.command](report))


def with_line_ends(lines: Iterable[str]) -> Iterator[str]:
    """Yield each of *lines* with its line end; any other, as in the name of a file, is escaped."""
    for line in lines:
        yield line.replace("\n", "\\x0a") + "\n"


def _check(report: Report) -> Iterator[str]:
    plan = report.plan
    # The usual outcome in CI: load nothing more.
    if plan.is_clean and not plan.outcomes:
        yield f"nothing to do in {plan.seen:,} files"
        return
    from capa_migration.rewrite.report import lines, summary

    yield from lines(plan, notes=report.everything)
    yield f"{summary(plan, 'would change', notes=report.everything)}."
    if plan.of("changed"):
        yield f"Next: `capa migrate diff {report.path}` shows them, `capa migrate apply {report.path}` makes them."


def _apply(report: Report) -> Iterator[str]:
    from capa_migration.rewrite.report import count, lines, result_lines, summary

    done = report.done
    assert done is not None  # noqa: S101 - a report of `apply` holds what was done
    if done.recovered:
        yield f"an earlier run was cut short: {count(len(done.recovered.written), 'file')} undone first"
    kept = done.kept
    if not (done.written or done.declined or done.troubles or kept.outcomes):
        yield f"nothing to do in {kept.seen:,} files"
        return
    yield from lines(done.plan, notes=report.everything)
    yield from result_lines([done.recovered, done.result])
    yield f"{summary(kept, 'changed', notes=report.everything)}."
    if done.declined:
        yield f"{count(done.declined, 'file')} left as you chose."
    yield from (f"commit {commit}" for commit in done.commits)
    if done.commits:
        yield "Next: run your tests; `git revert` undoes a commit."
    elif done.written:
        yield f"Next: run your tests; `capa migrate undo {report.path}` undoes all of it."


def _scan(report: Report) -> Iterator[str]:
    survey = report.survey
    if not (survey.sites or survey.unread or survey.moved or survey.commands):
        from capa_migration.rewrite.report import count

        yield f"no SDK is used in {count(survey.seen, 'file')} of Python"
        return
    yield from _numbers(survey)
    yield from _places(report)
    yield from _companions(survey)
    yield from _next(report)


def _next(report: Report) -> Iterator[str]:
    survey = report.survey
    if any(site.support != "none" for site in survey.sites):
        yield ""
        yield f"Next: `capa migrate diff {report.path}` shows the changes of a rewrite."
    elif survey.moved:
        yield ""
        yield f"Next: `capa migrate check {report.path}` in CI reports new uses of the originals."


def _numbers(survey: Survey) -> Iterator[str]:
    from capa_migration.rewrite.formats._columns import columns
    from capa_migration.rewrite.formats._totals import HEAD, totals
    from capa_migration.rewrite.scan.sites import shapes

    if rows := totals(survey):
        yield from columns(HEAD, rows)
    counted = shapes(survey.sites).most_common()
    if not counted:
        return
    yield ""
    yield from columns(
        ["calls and uses", ""], [[name, f"{number:,}"] for (_, name), number in counted[:_MAX_SHAPES]]
    )
    if len(counted) > _MAX_SHAPES:
        yield f"… and {len(counted) - _MAX_SHAPES:,} more shapes (--format json holds them)"


def _places(report: Report) -> Iterator[str]:
    from capa_migration.rewrite.report import shape

    survey = report.survey
    # A call that has moved and is not served fails too.
    moved = frozenset(survey.moved)
    shown, left_out = _listed(sorted([*survey.sites, *survey.moved]), everything=report.everything)
    yield from [""] if shown else []
    for site in shown:
        state = "moved, " if site in moved else ""
        reason = (f": {site.reason}" if site.reason else "") + (
            f" [{site.reason_id}]" if site.reason_id else ""
        )
        yield f"{site.path}:{site.line}: {shape(site)}: {state}{site.support}{reason}"
    for (sdk, support, reason), number in left_out.items():
        yield f"… and {number:,} more places of {sdk}: {support}: {reason} (--all lists them)"
    yield from [""] if survey.commands else []
    for command in survey.commands:
        yield f"{command.path}:{command.line}: {command.text}: {command.summary} [commands]"
    for file in survey.unread:
        place = f"{file.path}:{file.line}" if file.line else file.path
        yield f"{place}: failed: {file.reason}. Next: {file.next_step}. [unreadable]"


def _listed(sites: Sequence[Site], *, everything: bool) -> tuple[list[Site], Counter[tuple[str, str, str]]]:
    """Return the sites to list, and the number left out for each reason that is listed often enough."""
    if everything:
        return list(sites), Counter()
    given: Counter[tuple[str, str, str]] = Counter()
    shown = []
    for site in sites:
        key = (site.sdk, site.support, site.reason)
        given[key] += site.support != "full"
        if 0 < given[key] <= _MAX_PLACES:
            shown.append(site)
    return shown, Counter({key: n - _MAX_PLACES for key, n in given.items() if n > _MAX_PLACES})


def _companions(survey: Survey) -> Iterator[str]:
    yield from ["", "libraries around the SDKs, after the rewrite:"] if survey.companions else []
    for one in survey.companions:
        first, others = one.places[0], len(one.places) - 1
        more = f" and {others:,} more" if others else ""
        yield f"{first.path}:{first.line}{more}: {one.summary} [{one.library.id}]"
