"""The report of a command, the same for every format, and the lines, counts and data that formats share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from capa_codemods.api import Change, Finding, Outcome, WriteResult
    from capa_migration.rewrite.apply import RunResult
    from capa_migration.rewrite.plan import Plan
    from capa_migration.rewrite.scan.sites import Site, Survey

SCHEMA = 1
"""Version of the data: raised when a field changes its meaning or is removed; new fields may be added at any time."""

_MAX_SHOWN_CHARS = 240

Command = Literal["scan", "check", "diff", "apply"]


class Report:
    """The outcome of one command. Plan and survey are made when a format first asks for them.

    Attributes:
        command: The command that was given.
        path: The paths as the user gave them, for the next commands to show.
        exit_code: The exit code of the command.
        everything: Whether to show also notes and places that are served in full.
        done: The result of `apply`; None for the commands that only read.
    """

    def __init__(
        self,
        command: Command,
        path: str,
        exit_code: int,
        *,
        plan: Callable[[], Plan],
        survey: Callable[[], Survey],
        everything: bool = False,
        done: RunResult | None = None,
    ) -> None:
        """Report on *command*; *plan* and *survey* are called at most once each."""
        self.command = command
        self.path = path
        self.exit_code = exit_code
        self.everything = everything
        self.done = done
        self._plan = plan
        self._survey = survey

    @cached_property
    def plan(self) -> Plan:
        """The plan of the rewrite; for `apply` the applied one."""
        return self._plan()

    @cached_property
    def survey(self) -> Survey:
        """The SDKs and call sites of the tree, as it is now."""
        return self._survey()

    @cached_property
    def root(self) -> str:
        """Absolute path of the tree; all paths of plan and survey are relative to it."""
        return self.survey.root if self.command == "scan" else self.plan.root

    @cached_property
    def prefix(self) -> str:
        """The path of the tree in its repository: empty, or ending in `/`."""
        from capa_codemods.api import git_top_level

        above = os.path.relpath(self.root, git_top_level(self.root) or self.root)
        return "" if above == "." else above.replace(os.sep, "/") + "/"


def count(number: int, singular: str, plural: str = "") -> str:
    """Return `1 file`, `2 files`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def arrow(change: Change) -> str:
    """Return *change* in one line: `before → after`."""
    return f"{one_line(change.before)} → {one_line(change.after)}".strip()


def one_line(text: str) -> str:
    """Return *text* in one line, the beginning only of a long one."""
    line = " ⏎ ".join(part.strip() for part in text.splitlines() if part.strip())
    return line if len(line) <= _MAX_SHOWN_CHARS else f"{line[:_MAX_SHOWN_CHARS]}…"


def shape(site: Site) -> str:
    """Return the code shape at *site*: `requests.get(*, timeout=)`."""
    if site.kind == "import":
        return f"import of {site.name}"
    if site.kind == "patch":
        return f"patch of {site.name}"
    if site.kind == "use":
        return site.name
    given = [argument if argument.startswith("*") else f"{argument}=" for argument in site.arguments]
    return f"{site.name}({', '.join(given)})"


def lines(plan: Plan, *, notes: bool) -> Iterator[str]:
    """Yield one line for each change, failure and finding, after its `path:line:`."""
    for outcome in plan.outcomes:
        place = f"{outcome.path}:{outcome.line}:" if outcome.line else f"{outcome.path}:"
        if outcome.status == "failed":
            yield f"{place} failed: {outcome.reason}. Next: {outcome.next_step}. [unreadable]"
        for change in outcome.changes:
            yield f"{outcome.path}:{change.line}: {change.rule}: {arrow(change)}"
        for finding in outcome.findings:
            if notes or finding.level != "note":
                text = f"{finding.level}: {finding.message}. Next: {finding.next_step}."
                yield f"{outcome.path}:{finding.line}: {text} [{finding.rule}]"


def summary(plan: Plan, verb: str, *, notes: bool = False) -> str:
    """Return the counts in one line; *verb* is `would change` or `changed`, *notes* is whether notes are shown."""
    changed, failed = plan.of("changed"), plan.of("failed")
    parts = [
        f"{count(len(changed), 'file')} {verb}, {len(changed):,} proven" if changed else "nothing to change"
    ]
    if failed:
        parts.append(f"{count(len(failed), 'file')} failed")
    found = [finding.level for outcome in plan.outcomes for finding in outcome.findings]
    if "error" in found:
        parts.append(count(found.count("error"), "error"))
    if "warning" in found:
        blocking = sum(
            one.level == "warning" and one.blocks for each in plan.outcomes for one in each.findings
        )
        by_hand = f" ({blocking:,} to change by hand)" if blocking else ""
        parts.append(count(found.count("warning"), "warning") + by_hand)
    if "note" in found:
        parts.append(count(found.count("note"), "note") + ("" if notes else " (--notes shows them)"))
    parts.append(f"{count(plan.seen, 'file')} checked")
    return "; ".join(parts)


def diff(plan: Plan) -> Iterator[bytes]:
    """Yield the unified diff of each file that would change."""
    from capa_codemods.api import read_file, unified_diff

    for outcome in plan.of("changed"):
        data = read_file(f"{plan.root}/{outcome.path}")
        if data is not None or not outcome.digests[0]:
            yield unified_diff(outcome.path, data, outcome.edits)


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
            "passed_over": dict(plan.passed_over),
        },
        "changes": [_changes(outcome) for outcome in plan.of("changed")],
        "failures": [_failure(outcome) for outcome in plan.of("failed")],
        "findings": [_finding(outcome, one) for outcome in plan.outcomes for one in outcome.findings],
    }


def result_data(result: WriteResult | None) -> dict[str, Any] | None:
    """Return *result* as data for JSON."""
    if result is None:
        return None
    return {
        "written": list(result.written),
        "merged": list(result.merged),
        "troubles": [{"path": trouble.path, "reason": trouble.reason} for trouble in result.troubles],
    }


def result_lines(results: Sequence[WriteResult | None]) -> Iterator[str]:
    """Yield one line for each file that was merged or left as it is."""
    for result in results:
        if result is not None:
            yield from (f"{path}: restored around your own edits" for path in result.merged)
            yield from (
                f"{trouble.path}: failed: {trouble.reason}. [unwritten]" for trouble in result.troubles
            )


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
