"""Application of plans to a tree, and undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from capa_codemods.api import (
    CAPA_TOML,
    Journal,
    JournalError,
    PlannedFile,
    Progress,
    Trouble,
    WriteResult,
    apply_files,
    no_progress,
    planned_file,
    read_file,
    recover_unfinished,
    remedy_for,
    uncommitted_changes,
    undo_newest,
)
from capa_migration.errors import DirtyTreeError, OptionsError
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.target import Target, journal_root


class RunResult(NamedTuple):
    """The result of a run that writes in a tree.

    Attributes:
        recovered: The undo of an earlier run that was killed; None if there was none.
        result: The files of this run; None if there was nothing to do.
        commits: The abbreviated id and the subject of each commit that was made.
        declined: Number of files whose changes the user declined.
    """

    plan: Plan
    recovered: WriteResult | None
    result: WriteResult | None
    commits: tuple[str, ...] = ()
    declined: int = 0

    @property
    def written(self) -> tuple[str, ...]:
        """The files that hold their new text."""
        return self.result.written if self.result else ()

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """The files that could not be written, in this run or in the undo of the earlier one."""
        return tuple(trouble for one in (self.recovered, self.result) if one for trouble in one.troubles)

    @property
    def kept(self) -> Plan:
        """The plan without the changes that could not be made."""
        written = set(self.written)
        kept = [one for one in self.plan.outcomes if one.status != "changed" or one.path in written]
        return self.plan.with_outcomes(kept)


class MakePlan(Protocol):
    """Function that makes a plan; *remember* caches the clean files for the next run."""

    def __call__(self, *, remember: bool) -> Plan:
        """Return the plan."""


def apply(
    paths: str | Sequence[str],
    make_plan: MakePlan,
    *,
    allow_dirty: bool = False,
    choose: Callable[[Plan], Plan] | None = None,
    progress: Progress = no_progress,
) -> RunResult:
    """Apply the plan that *make_plan* makes for the tree, or the parts of one, at *paths*.

    Args:
        paths: Folders and files of one project.
        make_plan: Called once.
        allow_dirty: Go on in a git work tree with uncommitted changes.
        choose: Returns the part of the plan to apply. Other runs that write are refused until it does.
        progress: Called with the number of files written and the number of all.

    Raises:
        DirtyTreeError: There are uncommitted changes in the way, and *allow_dirty* is not given.
        TargetError: There is nothing at one of *paths*.
        BusyError: Another run is writing in the tree.
        JournalError: The journal is damaged; or it cannot be written now that an unfinished rewrite has been undone.
        OSError: The journal cannot be written. No file was touched.
    """
    target = Target(paths)
    journal = Journal(target.root)
    plan = None
    # The changes of a killed run are uncommitted changes too: they are undone first.
    if not allow_dirty and not journal.records("applying", "undoing"):
        plan = _plan_beside_uncommitted(target, make_plan)
        if plan is not None and not plan.of("changed"):
            return RunResult(plan, None, None)
    with journal.lock():
        recovered = recover_unfinished(journal)
        if recovered is not None and not allow_dirty:
            plan = _plan_beside_uncommitted(target, make_plan)
        if plan is None:
            plan = make_plan(remember=True)
        wanted = plan if choose is None else choose(plan)
        files, troubles = _load(wanted)
        with changed_before("an unfinished rewrite was undone" if recovered else ""):
            result = apply_files(journal, files, progress) if files else WriteResult(())
    declined = len(plan.of("changed")) - len(wanted.of("changed"))
    result = result._replace(troubles=(*troubles, *result.troubles))
    return RunResult(wanted, recovered, result, declined=declined)


def undo(
    paths: str | Sequence[str], *, down_to: int | None = None, progress: Progress = no_progress
) -> RunResult:
    """Undo the newest rewrite of the tree around *paths*, and those before it *down_to* this number.

    A conflict ends it: older rewrites stay as they are.

    Raises:
        TargetError: There is nothing at one of *paths*.
        OptionsError: The journal holds no rewrite of the number *down_to*.
        BusyError: Another run is writing in the tree.
        JournalError: The journal is damaged; or it cannot be written now that newer rewrites have been undone.
        OSError: The journal cannot be written. No file was touched.
    """
    root = journal_root(Target(paths).root)
    journal = Journal(root)
    numbers = [record.number for record in journal.records("applying", "applied", "undoing")]
    if down_to is not None and down_to not in numbers:
        raise OptionsError(f"{root}: there is no rewrite {down_to}: `capa migrate status` lists them")
    with _locked(journal):
        recovered = recover_unfinished(journal)
        # The unfinished rewrite of a killed run is the newest one: its undo is the undo that the user wants.
        result = undo_newest(journal, progress) if recovered is None else recovered
        for _ in range(sum(number >= down_to for number in numbers) - 1 if down_to is not None else 0):
            with changed_before("the newest rewrites were undone"):
                older = None if result is None or result.troubles else undo_newest(journal, progress)
            result = result and _joined(result, older)
    return RunResult(Plan(root, 0), recovered, result)


@contextmanager
def changed_before(change: str) -> Iterator[None]:
    """Let an error of the journal name the *change* that was made before; empty if there was none.

    Raises:
        JournalError: In place of an OSError, which would say that nothing was changed.
    """
    try:
        yield
    except OSError as error:
        if not change:
            raise
        cause = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise JournalError(f"{cause}: {remedy_for(error)} and run again; before that, {change}") from error


def _joined(result: WriteResult, older: WriteResult | None) -> WriteResult:
    if older is None:
        return result
    written = dict.fromkeys(result.written + older.written)
    return WriteResult(tuple(written), result.merged + older.merged, older.troubles)


@contextmanager
def _locked(journal: Journal) -> Iterator[None]:
    # The lock would create a folder in a tree that has nothing to undo.
    if not journal.records():
        yield
        return
    with journal.lock():
        yield


def _plan_beside_uncommitted(target: Target, make_plan: MakePlan) -> Plan | None:
    """Return the plan if no uncommitted change is in its way; None if everything is committed.

    Raises:
        DirtyTreeError: An uncommitted change is in its way.
    """
    found = uncommitted_changes(target.root, target.scopes)
    if not any(found):
        return None
    plan = make_plan(remember=False)
    if in_the_way := found.beside([outcome.path for outcome in plan.of("changed")]):
        raise _dirty_tree(target.root, in_the_way)
    return plan


def _dirty_tree(root: str, paths: Sequence[str]) -> DirtyTreeError:
    shown = ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
    return DirtyTreeError(
        f"{root} has uncommitted changes in {len(paths)} file{'s'[: len(paths) > 1]} ({shown}): "
        f"commit or stash them, so that the rewrite stands alone in `git diff`, or pass --allow-dirty"
    )


def _load(plan: Plan) -> tuple[list[PlannedFile], list[Trouble]]:
    """Read the files to change again, and leave out those that have changed since they were proven."""
    files, troubles = [], []
    changed = plan.of("changed")
    settings = next((outcome.path for outcome in changed if outcome.path == CAPA_TOML), "")
    for outcome in sorted(changed, key=lambda outcome: outcome.counts_on_settings):
        try:
            data = read_file(f"{plan.root}/{outcome.path}")
        except OSError:
            data = None
        planned = planned_file(outcome, data)
        if planned is None:
            reason = f"{outcome.path} changed while the plan was made: it was left as it is; run again"
            troubles.append(Trouble(outcome.path, reason))
        else:
            files.append(planned._replace(needs=settings if outcome.counts_on_settings else ""))
    return files, troubles
