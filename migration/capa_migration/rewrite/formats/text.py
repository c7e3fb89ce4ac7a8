"""Lines for a terminal; for `diff` a patch for `git apply`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_migration.rewrite.plan import Plan
    from capa_migration.rewrite.projects import Project, Several
    from capa_migration.rewrite.report import Report
    from capa_migration.rewrite.scan.sites import Survey

_MAX_SHAPES = 20
_MAX_SORTED = 10


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
        yield f"nothing to do in {plan.seen:,} file{'' if plan.seen == 1 else 's'}"
        yield from _passed_over(report.plan.passed_over, report)
        return
    from capa_migration.rewrite.report import lines, summary

    yield from lines(plan, notes=report.everything)
    yield f"{summary(plan, 'would change', notes=report.everything)}."
    yield from _passed_over(report.plan.passed_over, report)
    yield from _installing(plan)
    if plan.of("changed"):
        yield f"Next: `capa migrate diff {report.path}` shows them, `capa migrate apply {report.path}` makes them."


def _passed_over(numbers: Mapping[str, int], report: Report) -> Iterator[str]:
    if numbers:
        from capa_migration.rewrite.passed_over import line_of

        line = line_of(numbers, notes=report.everything)
        yield from [f"{line}."] if line else []


def _apply(report: Report) -> Iterator[str]:
    from capa_migration.rewrite.report import count, lines, result_lines, summary

    done = report.done
    assert done is not None  # noqa: S101 - a report of `apply` has its result
    if done.recovered:
        yield f"an earlier run was cut short: {count(len(done.recovered.written), 'file')} undone first"
    kept = done.kept
    if not (done.written or done.declined or done.troubles or kept.outcomes):
        yield f"nothing to do in {count(kept.seen, 'file')}"
        yield from _passed_over(report.plan.passed_over, report)
        return
    yield from lines(done.plan, notes=report.everything)
    yield from result_lines([done.recovered, done.result])
    yield f"{summary(kept, 'changed', notes=report.everything)}."
    yield from _passed_over(report.plan.passed_over, report)
    if done.declined:
        yield f"{count(done.declined, 'file')} left as you chose."
    yield from _sorting(kept, done.written)
    yield from (f"commit {commit}" for commit in done.commits)
    if done.written:
        from capa_migration.rewrite.formats._engines import engine_lines

        yield from engine_lines(kept)
    yield from _installing(kept)
    if done.commits:
        yield "Next: run your tests; `git revert` undoes a commit."
    elif done.written:
        yield f"Next: run your tests; `capa migrate undo {report.path}` undoes all of it."


def _installing(plan: Plan) -> Iterator[str]:
    from capa_migration.rewrite.install_note import note_of_plan

    if note := note_of_plan(plan):
        yield note


def _sorting(plan: Plan, written: Sequence[str]) -> Iterator[str]:
    """Yield the line about imports that the project's own tool would put on other lines."""
    from capa_migration.rewrite.import_sorter import import_sorter

    moved = [one.path for one in plan.of("changed") if any(edit.rule == "imports" for edit in one.edits)]
    paths = sorted(set(moved) & set(written))
    if paths and (command := import_sorter(plan.root)):
        from shlex import join

        shown = join(paths[:_MAX_SORTED]) if len(paths) <= _MAX_SORTED else "."
        yield f"No line has moved: `{command} {shown}` sorts the imports, as the settings of the project ask for."


def _scan(report: Report) -> Iterator[str]:
    survey = report.survey
    told = (survey.sites, survey.unread, survey.moved, survey.commands, survey.uncertain, survey.excluding)
    if not any(told):
        from capa_migration.rewrite.report import count

        yield f"no SDK is used in {count(survey.seen, 'file')} of Python"
        yield from _passed_over(survey.passed_over, report)
        return
    from capa_migration.rewrite.formats._places import places

    parts = (*_numbers(survey), *places(report), *_replacements(survey), *_companions(survey))
    yield from dropwhile(lambda line: not line, parts)  # each part but the first begins with an empty line
    yield from ["", summary(survey), *_passed_over(survey.passed_over, report), *_next(report)]


def summary(survey: Survey) -> str:
    """Return the sums of *survey* in one sentence."""
    from capa_migration.rewrite.report import count
    from capa_migration.rewrite.scan.sites import total

    all_of = total(survey)
    served = f"{all_of.full:,} served in full, {all_of.partial:,} in part, {all_of.none:,} not"
    sites = count(all_of.full + all_of.partial + all_of.none, "place")
    moved = f"; {all_of.moved:,} moved already" if all_of.moved else ""
    failed = len({file.path for file in survey.unread})
    unread = f"; {count(failed, 'file')} could not be read in full" if failed else ""
    return f"{sites} in {count(all_of.files, 'file')} of {survey.seen:,}: {served}{moved}{unread}."


def _next(report: Report) -> Iterator[str]:
    survey = report.survey
    if any(site.support != "none" for site in survey.sites):
        yield f"Next: `capa migrate diff {report.path}` shows the changes of a rewrite."
    elif survey.moved:
        yield f"Next: `capa migrate check {report.path}` in CI reports new uses of the originals."
    yield from survey.bring


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


def _replacements(survey: Survey) -> Iterator[str]:
    """Yield each name once: of the places of one reason only the first are listed."""
    from capa_migration.rewrite.formats._columns import columns
    from capa_migration.rewrite.scan.sites import replacements

    if found := replacements([*survey.sites, *survey.moved]):
        yield ""
        yield from columns(["instead of", "use"], [[name, use] for name, use in found.items()], right=False)


def _companions(survey: Survey) -> Iterator[str]:
    yield from ["", "libraries around the SDKs, after the rewrite:"] if survey.companions else []
    for one in survey.companions:
        first, others = one.places[0], len(one.places) - 1
        more = f" and {others:,} more" if others else ""
        yield f"{first.path}:{first.line}{more}: {one.summary} [{one.library.id}]"


def render_several(report: Several) -> Iterator[str | bytes]:
    """Yield the report on several projects: a row for each, and their total."""
    yield from with_line_ends(_several(report.projects))


def _several(projects: Sequence[Project]) -> Iterator[str]:
    from capa_migration.rewrite.formats._columns import columns
    from capa_migration.rewrite.formats._places import grouped, unread_places
    from capa_migration.rewrite.formats._totals import HEAD, cells
    from capa_migration.rewrite.scan.sites import added, total

    sums = [total(one.survey)._replace(sdk=one.name) for one in projects]
    yield from columns(["project", *HEAD[1:]], [*map(cells, sums), cells(added("total", sums))])
    yield from grouped([place for one in projects for place in unread_places(one.survey, f"{one.name}/")])
    yield ""
    yield f"Next: `capa scan {projects[0].path}` lists the SDKs and places of one project."
