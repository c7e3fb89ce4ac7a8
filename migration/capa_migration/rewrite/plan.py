"""The plan of a rewrite: its changes, failures and findings. It costs one `stat` for each file if there are none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from capa_codemods.api import MIGRATE_FOLDER, __version__, git_top_level, may_be_script
from capa_migration.errors import TargetError
from capa_migration.rewrite.passed_over import Files, counted
from capa_migration.rewrite.settled import SettledFiles, listing_of
from capa_migration.rewrite.sift import recalled, with_something
from capa_migration.rewrite.target import Options, Target

if TYPE_CHECKING:
    from capa_codemods.api import Outcome
    from capa_migration.rewrite.examine import Progress


class Plan:
    """The changes, failures and findings of a rewrite of one tree.

    Attributes:
        root: Absolute path of the tree.
        seen: Number of files that a rule reads, by their names.
        outcomes: One for each file that changes, fails or has findings; in the order of paths.
        passed_over: Reason → number of files that were not looked at; see `passed_over.REASONS`.
    """

    def __init__(
        self,
        root: str,
        seen: int,
        outcomes: Sequence[Outcome] = (),
        passed_over: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Hold the outcomes."""
        self.root = root
        self.seen = seen
        self.outcomes = tuple(outcomes)
        self.passed_over = passed_over

    def with_outcomes(self, outcomes: Iterable[Outcome]) -> Plan:
        """Return the same plan with other *outcomes*."""
        return Plan(self.root, self.seen, tuple(outcomes), self.passed_over)

    def of(self, status: str) -> list[Outcome]:
        """Return the outcomes with this *status*."""
        return [outcome for outcome in self.outcomes if outcome.status == status]

    @property
    def failures(self) -> list[Outcome]:
        """The files that could not be read or proven, and the errors in other files."""
        found = []
        for outcome in self.outcomes:
            errors = tuple(finding for finding in outcome.findings if finding.level == "error")
            if outcome.status == "failed":
                found.append(outcome)
            elif errors:
                found.append(outcome._replace(edits=(), changes=(), findings=errors))
        return found

    def has_warnings(self, *, blocking: bool = False) -> bool:
        """Return whether a finding is a warning; with *blocking*, whether one is that must be changed by hand."""
        findings = (finding for outcome in self.outcomes for finding in outcome.findings)
        return any(one.level == "warning" and (one.blocks or not blocking) for one in findings)

    @property
    def is_clean(self) -> bool:
        """Whether nothing would change and nothing failed."""
        return all(outcome.status == "clean" for outcome in self.outcomes)


def make(
    paths: str | Sequence[str],
    options: Options,
    *,
    remember: bool = True,
    progress: Progress | None = None,
) -> Plan:
    """Return the plan for the tree or the parts of a tree at *paths*. Only its own cache is written.

    Args:
        paths: Folders and files.
        options: The rules to run and the files to leave out.
        remember: Cache the clean files for the next run.
        progress: Called with the number of files done and the number of all.

    Raises:
        TargetError: There is nothing at one of *paths*, or no file of a project at any.
        OptionsError: A rule that is named does not exist, pyproject.toml is wrong, or no adapter is installed.
        RuleError: A rule of another package cannot be used.
        ImportMapError: An adapter's import map is wrong.
    """
    target = Target(paths)
    options = options.filled(target.root)
    plan = _make(target, options, remember=remember, progress=progress)
    return plan if target.scopes else _with_absent(plan, options)


def _with_absent(plan: Plan, options: Options) -> Plan:
    """Return *plan* with a note for each path that pyproject.toml leaves out and that is not there."""
    absent = options.absent_excludes(plan.root)
    if not absent:
        return plan
    from capa_codemods.api import Finding, Outcome

    step = "correct it; leave it as it is if the path is made later"
    notes = [
        Finding("absent", line, "note", f"exclude names `{name}`, which does not exist in {plan.root}", step)
        for name, line in absent
    ]
    own = [one for one in plan.outcomes if one.path == "pyproject.toml"] or [
        Outcome("pyproject.toml", "clean")
    ]
    noted = own[0]._replace(findings=(*notes, *own[0].findings))
    others = [one for one in plan.outcomes if one.path != "pyproject.toml"]
    return plan.with_outcomes(sorted([*others, noted]))


def _make(target: Target, options: Options, *, remember: bool, progress: Progress | None) -> Plan:
    settled = _open_cache(target.root, options)
    if not target.scopes and (known := _of_unchanged(target.root, settled)) is not None:
        return known
    files = Files.of(target, options.exclude)
    if target.scopes and not files.inside:
        return _of_excluded(files)
    unlistable = _unlistable(files)
    if not unlistable and settled.suffixes and (fast := _when_all_settled(files, settled)) is not None:
        if remember and not target.scopes and files.folders and git_top_level(target.root) is None:
            settled.save_tree(target.root, files.folders, (fast.seen, fast.passed_over))
        return fast
    from capa_migration.rewrite.examine import examine

    done = examine(files, options, settled, remember=remember, progress=progress)
    return _plan(files, done.looked_at, sorted([*done.outcomes, *unlistable]), done.passed_over)


def _of_excluded(files: Files) -> Plan:
    """Return the plan for files that the options leave out: a hook before a commit may name such."""
    target = files.target
    if not target.within(files.every):
        named = ", ".join(target.scopes)
        raise TargetError(f"{named}: no file of the project at {target.root} is here: give another path")
    return Plan(target.root, 0, (), counted(files, (), {}))


def _unlistable(files: Files) -> list[Outcome]:
    """Return a failure for each folder that could not be listed, so that it does not pass for empty."""
    folders = [path for path in files.inside if path.endswith("/")]
    found = [path for path in folders if not files.is_repository(path)]
    if not found:
        return []
    from capa_codemods.api import Outcome

    step = "allow reading it, or leave it out with --exclude"
    root = files.target.root
    return [
        Outcome(path, "failed", reason=f"cannot be listed: {_cause(f'{root}/{path}')}", next_step=step)
        for path in found
    ]


def _cause(folder: str) -> str:
    try:
        os.scandir(folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return "a temporary error"


def _open_cache(root: str, options: Options) -> SettledFiles:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return SettledFiles.open(f"{root}/{MIGRATE_FOLDER}/settled", f"{__version__} {version} {options.key()}")


def _of_unchanged(root: str, settled: SettledFiles) -> Plan | None:
    """Return the plan of the last run if nothing in the tree has changed since, without listing it."""
    if git_top_level(root) is not None or not settled.is_unchanged(root):
        return None
    seen, passed_over = settled.totals
    found = with_something([recalled(path, text) for path, text in settled.outcomes()])
    return Plan(root, seen, sorted(found), passed_over)


def _when_all_settled(files: Files, settled: SettledFiles) -> Plan | None:
    """Return the plan if the cache knows every file, without loading a single rule."""
    ended = [path for path in files.inside if path.endswith(settled.suffixes) or may_be_script(path)]
    wanted = [path for path in ended if path not in settled.unread]
    looked_at = [path for path in wanted if path not in settled.plain]
    if files.named_but_not(looked_at):
        return None
    target, listing = files.target, listing_of(files.listed)
    known = []
    for path, found in settled.not_clean(target.root, wanted).items():
        text = settled.outcome_of(path, found, listing)
        if text is None:
            return None
        known.append((path, text))
    outcomes = with_something([recalled(path, text) for path, text in known])
    return _plan(files, looked_at, outcomes, settled.passed_over)


def _plan(
    files: Files, looked_at: Sequence[str], outcomes: Sequence[Outcome], found: Mapping[str, str]
) -> Plan:
    """Return the plan with *outcomes* for the files *looked_at*, less those *found* not to need it."""
    found = {path: found[path] for path in looked_at if path in found} if found else {}
    numbers = counted(files, looked_at, found)
    return Plan(files.target.root, len(looked_at) - len(found), outcomes, numbers)
