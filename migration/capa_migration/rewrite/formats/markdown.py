"""A summary for a comment on a pull request: the numbers, then folded lists of changes and remarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from capa_migration.rewrite.install_note import note_of_plan
from capa_migration.rewrite.remarks import Remark, remarks_of
from capa_migration.rewrite.report import Report, count, one_line

_MAX_ROWS = 100
"""A comment on GitHub may have 65,536 characters."""


def render(report: Report) -> Iterator[str | bytes]:
    """Yield headings, tables and folded lists."""
    remarks = list(remarks_of(report))
    yield from _scan(report) if report.command == "scan" else _migrate(report)
    for level, title in (("error", "Could not be done"), ("warning", "Left as it is"), ("note", "Notes")):
        yield from _remarks(title, [one for one in remarks if one.level == level and one.edit is None])


def _scan(report: Report) -> Iterator[str]:
    from capa_migration.rewrite.formats._totals import HEAD, totals

    survey = report.survey
    yield f"### Capa: SDKs used in {count(survey.seen, 'file')} of Python\n\n"
    rows = totals(survey)
    yield from _table(HEAD, rows, right=True) if rows else ["None.\n"]
    if survey.commands:
        held = [[f"`{one.path}:{one.line}`", _code(one.text)] for one in survey.commands]
        yield from _folded("Commands that start Celery", len(held), _table(("where", "command"), held))


def _migrate(report: Report) -> Iterator[str]:
    plan = report.done.kept if report.done else report.plan
    changed, failed = plan.of("changed"), plan.of("failed")
    verb = "changed" if report.done else "would change"
    proven = (
        f"{count(len(changed), 'file')} {verb}, {len(changed):,} proven" if changed else "nothing to change"
    )
    missed = f", {count(len(failed), 'file')} failed" if failed else ""
    yield f"### Capa: {proven}{missed}; {count(plan.seen, 'file')} checked\n"
    if not changed:
        return
    yield "\n"
    rules = Counter(change.rule for outcome in changed for change in outcome.changes)
    yield from _table(
        ("rule", "edits"), [[one, f"{number:,}"] for one, number in sorted(rules.items())], right=True
    )
    rows = [
        [f"`{outcome.path}:{change.line}`", _code(change.before), _code(change.after)]
        for outcome in changed
        for change in outcome.changes
    ]
    yield from _folded("Changes", len(rows), _table(("where", "before", "after"), rows[:_MAX_ROWS]))
    if note := note_of_plan(plan):
        yield f"\n{note}\n"
    if report.done is None:
        yield f"\nNext: `capa migrate apply {report.path}`.\n"


def _remarks(title: str, remarks: Sequence[Remark]) -> Iterator[str]:
    if not remarks:
        return
    rows = [
        [
            f"`{one.path}:{one.line}`" if one.line else f"`{one.path}`",
            _cell(one.message),
            _cell(one.next_step),
        ]
        for one in remarks
    ]
    yield from _folded(title, len(rows), _table(("place", "remark", "next step"), rows[:_MAX_ROWS]))


def _folded(title: str, number: int, body: Iterable[str]) -> Iterator[str]:
    yield f"\n<details><summary>{title} ({number:,})</summary>\n\n"
    yield from body
    if number > _MAX_ROWS:
        yield f"\n… and {number - _MAX_ROWS:,} more.\n"
    yield "\n</details>\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = False) -> Iterator[str]:
    yield f"| {' | '.join(head)} |\n"
    yield f"|{'|'.join('---:' if right and at else '---' for at in range(len(head)))}|\n"
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


def _code(text: str) -> str:
    """Return *text* as code in a cell; inside a table even code must escape `|`."""
    line = one_line(text).replace("|", "\\|")
    if not line:
        return ""
    ticks = "`" * (1 + max((len(run) for run in _runs_of_ticks(line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def _runs_of_ticks(line: str) -> list[str]:
    return "".join(sign if sign == "`" else " " for sign in line).split()


def _cell(text: str) -> str:
    """Return prose for a cell: text in backticks stays code, and nothing else is markup."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    if len(parts) % 2 == 0:
        return _escaped("`".join(parts))
    return "`".join(part if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    for sign in "*_<[":
        text = text.replace(sign, f"\\{sign}")
    return text
