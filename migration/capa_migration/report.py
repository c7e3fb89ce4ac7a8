"""Say what a plan would do, or what a writing run did: as text, as a diff, as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from capa_codemods.engine.apply import Result
from capa_codemods.engine.unified import unified
from capa_codemods.engine.write import read
from capa_codemods.findings import Finding, Outcome
from capa_migration.plan import Plan

SCHEMA = 1
"""Goes up when a field of the data changes its meaning or goes away; new fields may come at any time."""


def count(number: int, singular: str, plural: str = "") -> str:
    """Return `1 file`, `2 files`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def lines(plan: Plan, *, notes: bool) -> Iterator[str]:
    """Yield one line for each change, failure and finding: `path:line: what`."""
    for outcome in plan.outcomes:
        place = f"{outcome.path}:{outcome.line}:" if outcome.line else f"{outcome.path}:"
        if outcome.status == "failed":
            yield f"{place} failed: {outcome.reason}. Next: {outcome.next_step}."
        for change in outcome.changes:
            yield f"{outcome.path}:{change.line}: {change.rule}: {_one_line(change.before)} → {_one_line(change.after)}"
        for finding in outcome.findings:
            if notes or finding.level == "warning":
                yield f"{outcome.path}:{finding.line}: {finding.level}: {finding.message}. Next: {finding.next_step}."


def summary(plan: Plan, verb: str) -> str:
    """Return the counts in one line; *verb* is `would change` or `changed`."""
    changed, failed = plan.of("changed"), plan.of("failed")
    parts = [f"{count(len(changed), 'file')} {verb}, {len(changed):,} proven"]
    if failed:
        parts.append(f"{count(len(failed), 'file')} failed")
    found = [finding.level for outcome in plan.outcomes for finding in outcome.findings]
    if "warning" in found:
        parts.append(count(found.count("warning"), "warning"))
    if "note" in found:
        parts.append(f"{count(found.count('note'), 'note')} (--notes shows them)")
    parts.append(f"{count(plan.seen, 'file')} looked at")
    return "; ".join(parts)


def diff(plan: Plan) -> Iterator[bytes]:
    """Yield the unified diff of each file that would change."""
    for outcome in plan.of("changed"):
        data = read(f"{plan.root}/{outcome.path}")
        if data is not None:
            yield unified(outcome.path, data, outcome.edits)


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return *plan* as data for JSON."""
    return {
        "schema": SCHEMA,
        "root": plan.root,
        "files": {
            "seen": plan.seen,
            "changed": len(plan.of("changed")),
            "proven": len(plan.of("changed")),
            "failed": len(plan.of("failed")),
        },
        "changes": [_changes(outcome) for outcome in plan.of("changed")],
        "failures": [_failure(outcome) for outcome in plan.of("failed")],
        "findings": [_finding(outcome, one) for outcome in plan.outcomes for one in outcome.findings],
    }


def result_data(result: Result | None) -> dict[str, Any] | None:
    """Return *result* as data for JSON."""
    if result is None:
        return None
    return {
        "written": list(result.written),
        "merged": list(result.merged),
        "troubles": [{"path": trouble.path, "reason": trouble.reason} for trouble in result.troubles],
    }


def result_lines(results: Sequence[Result | None]) -> Iterator[str]:
    """Yield one line for each file that was merged or left as it is."""
    for result in results:
        if result is not None:
            yield from (f"{path}: restored around your own edits" for path in result.merged)
            yield from (f"{trouble.path}: failed: {trouble.reason}." for trouble in result.troubles)


def _changes(outcome: Outcome) -> dict[str, Any]:
    return {
        "path": outcome.path,
        "edits": [change._asdict() for change in outcome.changes],
        "before_sha256": outcome.digests[0],
        "after_sha256": outcome.digests[1],
    }


def _failure(outcome: Outcome) -> dict[str, Any]:
    return {
        "path": outcome.path,
        "line": outcome.line,
        "reason": outcome.reason,
        "next_step": outcome.next_step,
    }


def _finding(outcome: Outcome, finding: Finding) -> dict[str, Any]:
    return {"path": outcome.path, **finding._asdict()}


def _one_line(text: str) -> str:
    return " ⏎ ".join(line.strip() for line in text.splitlines())
