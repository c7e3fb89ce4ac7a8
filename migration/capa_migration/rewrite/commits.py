"""Plans as commits: each part can be reviewed and reverted by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from capa_codemods.api import (
    CodemodError,
    Journal,
    Outcome,
    Trouble,
    WriteResult,
    commit_files,
    git_top_level,
    refusal_to_commit,
    uncommitted_changes,
)
from capa_migration.errors import CommitError
from capa_migration.rewrite.apply import MakePlan, RunResult, apply, changed_before, undo
from capa_migration.rewrite.parts import By, parts
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.report import count


class Step(NamedTuple):
    """One commit to make.

    Attributes:
        name: The rule, owner or folder of the commit.
        summary: A sentence for the message; may be empty.
        make_plan: Makes the plan of the commit.
    """

    name: str
    summary: str
    make_plan: MakePlan


def by_rule(plan: Plan, make_plan_for: Callable[[str, Sequence[str]], MakePlan]) -> Iterator[Step]:
    """Yield a step for each rule that changes something in *plan*.

    Each step is planned, and proven, on the tree that the one before it has left.

    Args:
        plan: The changes of all rules together.
        make_plan_for: Returns the function that plans for one rule without the others.
    """
    from capa_codemods.api import find_rule, rule_summary

    def place(rule: str) -> tuple[bool, str]:
        found = find_rule(rule)
        return found is not None and found.changes_shape, rule

    # Rules that change shapes see the new names, here as in a run without commits.
    rules = sorted({edit.rule for outcome in plan.of("changed") for edit in outcome.edits}, key=place)
    for rule in rules:
        others = [other for other in rules if other != rule]
        yield Step(rule, rule_summary(rule), make_plan_for(rule, others))


def by_part(plan: Plan, by: By) -> Iterator[Step]:
    """Yield a step for each owner, or each folder, of the files that *plan* changes.

    Raises:
        OptionsError: There is no CODEOWNERS file.
    """
    for name, part in parts(plan, by):
        yield Step(name, "", _unchanging(part))


def require_committable(root: str, plan: Plan) -> None:
    """Check that *plan* can be committed. Nothing is written.

    Raises:
        CommitError: There is no git work tree, something in it is not committed, git knows no author, or a program of
            the repository would have to run.
    """
    if git_top_level(root) is None:
        raise CommitError(
            f"{root} is not in a git work tree: run `git init` and commit first, or leave out --commit"
        )
    if Journal(root).records("applying", "undoing"):
        raise CommitError(f"a run was cut short in {root}: run `capa migrate undo {root}` first")
    changing = [outcome.path for outcome in plan.of("changed")]
    if in_the_way := uncommitted_changes(root).beside(changing):
        shown = ", ".join(in_the_way[:3])
        raise CommitError(f"{root} has uncommitted changes ({shown}): commit or stash them first")
    if (reason := refusal_to_commit(root, changing)) is not None:
        raise CommitError(reason)


def carry_out(
    root: str, plan: Plan, steps: Iterable[Step], choose: Callable[[Plan], Plan] | None
) -> RunResult:
    """Carry out *steps* in the tree at *root*, a commit each, and return the sum of their results.

    Raises:
        CodemodError: git refused a commit. Its files are restored; earlier commits stay.
        BusyError: Another run is writing in the tree.
        JournalError: The journal is damaged; or it cannot be written now that there are commits.
        OSError: The journal cannot be written. Nothing was changed.
    """
    results: list[RunResult] = []
    commits: list[str] = []
    for step in steps:
        with changed_before(f"{count(len(commits), 'commit')} of this run stayed" if commits else ""):
            done = apply(root, step.make_plan, choose=choose)
        results.append(done)
        if done.written:
            commits.append(_commit(root, step, done))
    return _sum(plan, results, tuple(commits))


def _commit(root: str, step: Step, done: RunResult) -> str:
    subject, message = _message(step, done.kept)
    try:
        return f"{commit_files(root, done.written, message)} {subject}"
    except CodemodError:
        undo(root)
        raise


def _message(step: Step, plan: Plan) -> tuple[str, str]:
    changed = plan.of("changed")
    edits = Counter(edit.rule for outcome in changed for edit in outcome.edits)
    subject = f"capa: {step.name}: {count(len(changed), 'file')}, {count(edits.total(), 'edit')}"
    body = [
        *([f"{step.summary[0].upper()}{step.summary[1:]}."] if step.summary else []),
        *(f"- {rule}: {count(number, 'edit')}" for rule, number in sorted(edits.items())),
        "",
        "Each file is proven: with its new names mapped back, its syntax tree is the old one.",
    ]
    return subject, "\n".join([subject, "", *body])


def _unchanging(plan: Plan) -> MakePlan:
    def make_plan(*, remember: bool) -> Plan:  # noqa: ARG001 - the plan is made already
        return plan

    return make_plan


def _sum(plan: Plan, results: Sequence[RunResult], commits: tuple[str, ...]) -> RunResult:
    """Return *results* as one; a file that several steps have changed is in it once."""
    outcomes = {outcome.path: outcome for outcome in plan.outcomes if outcome.status != "changed"}
    written: dict[str, None] = {}
    troubles: list[Trouble] = []
    for done in results:
        for outcome in done.plan.of("changed"):
            before = outcomes.get(outcome.path)
            outcomes[outcome.path] = _after(before, outcome)
        written |= dict.fromkeys(done.written)
        troubles += done.troubles
    merged = plan.with_outcomes(sorted(outcomes.values()))
    result = WriteResult(tuple(written), (), tuple(troubles))
    return RunResult(merged, None, result, commits, sum(done.declined for done in results))


def _after(before: Outcome | None, outcome: Outcome) -> Outcome:
    if before is None or before.status != "changed":
        return outcome
    return outcome._replace(
        edits=before.edits + outcome.edits,
        changes=before.changes + outcome.changes,
        digests=(before.digests[0], outcome.digests[1]),
    )
