"""The plan of a rewrite: its changes, failures and findings. It costs one `stat` for each file if there are none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capa_codemods.api import MIGRATE_FOLDER, __version__, list_files, make_migrate_folder
from capa_migration.errors import OptionsError, TargetError
from capa_migration.rewrite.settled import UNREADABLE, SettledFiles, guard_of, listing_of, stamp_of
from capa_migration.rewrite.target import Options, Target

if TYPE_CHECKING:
    from capa_codemods.api import Outcome, Rewrite, Rule

Progress = Callable[[int, int], None]


class Plan:
    """The changes, failures and findings of a rewrite of one tree.

    Attributes:
        root: Absolute path of the tree.
        seen: Number of files that a rule reads, by their names.
        outcomes: One for each file that changes, fails or has findings; in the order of paths.
    """

    def __init__(self, root: str, seen: int, outcomes: Sequence[Outcome] = ()) -> None:
        """Hold the outcomes."""
        self.root = root
        self.seen = seen
        self.outcomes = tuple(outcomes)

    def of(self, status: str) -> list[Outcome]:
        """Return the outcomes with this *status*."""
        return [outcome for outcome in self.outcomes if outcome.status == status]

    @property
    def failures(self) -> list[Outcome]:
        """The files that could not be read or proven, and the faults of rules in other files."""
        found = []
        for outcome in self.outcomes:
            faults = tuple(finding for finding in outcome.findings if finding.level == "error")
            if outcome.status == "failed":
                found.append(outcome)
            elif faults:
                found.append(outcome._replace(edits=(), changes=(), findings=faults))
        return found

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
    settled = _open_cache(target.root, options)
    listed = list_files(target.root, options.exclude)
    if target.scopes and not target.within(listed):
        return _of_excluded(target)
    unlistable = _unlistable(target, listed)
    if (
        not unlistable
        and settled.suffixes
        and (fast := _when_all_settled(target, listed, settled)) is not None
    ):
        return fast
    plan = _examine(target, options, listed, settled, remember=remember, progress=progress)
    return Plan(plan.root, plan.seen, sorted([*plan.outcomes, *unlistable])) if unlistable else plan


def _of_excluded(target: Target) -> Plan:
    """Return the plan for files that the options leave out: a hook before a commit may name such."""
    if not target.within(list_files(target.root)):
        named = ", ".join(target.scopes)
        raise TargetError(f"{named}: no file of the project at {target.root} is here: give another path")
    return Plan(target.root, 0)


def _unlistable(target: Target, listed: Sequence[str]) -> list[Outcome]:
    """Return a failure for each folder that could not be listed, so that it does not pass for empty."""
    folders = [path for path in listed if path.endswith("/")]
    found = [path for path in target.within(folders) if not os.path.lexists(f"{target.root}/{path}.git")]
    if not found:
        return []
    from capa_codemods.api import Outcome

    step = "allow reading it, or leave it out with --exclude"
    return [
        Outcome(path, "failed", reason=f"cannot be listed: {_cause(f'{target.root}/{path}')}", next_step=step)
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


def _when_all_settled(target: Target, listed: list[str], settled: SettledFiles) -> Plan | None:
    """Return the plan if the cache knows every file, without loading a single rule."""
    ended = [path for path in target.within(listed) if path.endswith(settled.suffixes)]
    wanted = [path for path in ended if path not in settled.unread]
    listing = listing_of(listed)
    known = []
    for path, found in settled.not_clean(target.root, wanted).items():
        text = settled.outcome_of(path, found, listing)
        if text is None:
            return None
        known.append((path, text))
    return Plan(target.root, len(wanted), [_recalled(path, text) for path, text in known])


def _examine(
    target: Target,
    options: Options,
    listed: list[str],
    settled: SettledFiles,
    *,
    remember: bool,
    progress: Progress | None,
) -> Plan:
    from capa_codemods.api import Names, Project, Rewrite, import_map_paths, read_import_map, rule_offers
    from capa_migration.rewrite.choice import select
    from capa_migration.rewrite.missing_requirements import with_missing_requirements

    maps = import_map_paths()
    if not maps:
        raise OptionsError("no adapter is installed to rewrite to: pip install 'capa-core[requests]'")
    rules = select(rule_offers(), options)
    project = Project(target.root, Names(map(read_import_map, maps)), listed, options.roots, options.settings)
    rewrite = Rewrite(project, rules)
    wanted = [path for path in target.within(listed) if rewrite.concerns(path)]
    outcomes = _with_settings(rewrite, _outcomes(rewrite, wanted, listing_of(listed), settled, progress))
    sources = [rule.source for rule in rules]
    if remember and not target.scopes and None not in sources:
        _save(settled, rewrite, rules, listed, [*maps, *filter(None, sources)])
    return Plan(target.root, len(wanted), sorted(with_missing_requirements(project, outcomes)))


def _outcomes(
    rewrite: Rewrite, wanted: list[str], listing: str, settled: SettledFiles, progress: Progress | None
) -> list[Outcome]:
    """Return the outcomes of the files *wanted*, from the cache where it has them, and add the new ones to it."""
    from capa_codemods.api import crashed_outcome, each_file

    stamps, candidates, outcomes = _sift(rewrite, wanted, listing, settled)
    examined = zip(candidates, each_file(rewrite.remark, candidates, crashed_outcome), strict=True)
    for number, (path, outcome) in enumerate(examined, 1):
        if outcome is not None:
            outcomes.append(outcome)
        if outcome is None or (outcome.status != "changed" and not outcome.settings):
            settled.add(path, stamps[path], _kept(outcome))
        if progress:
            progress(number, len(candidates))
    return outcomes


def _with_settings(rewrite: Rewrite, outcomes: list[Outcome]) -> list[Outcome]:
    """Return *outcomes*, and the outcome of capa.toml with the settings that the rules want in it.

    Code that depends on a setting is left as it is if capa.toml cannot hold that setting.
    """
    if not any(outcome.settings for outcome in outcomes):
        return outcomes
    from capa_codemods.api import plan_capa_toml

    made = plan_capa_toml(rewrite.project.root, outcomes)
    kept = []
    for outcome in outcomes:
        refused = {setting.rule for setting in outcome.settings if setting in made.refused}
        kept.append(rewrite.without(refused).examine(outcome.path) if refused else outcome)
    return [*kept, made.outcome] if made.outcome is not None else kept


def _sift(
    rewrite: Rewrite, wanted: list[str], listing: str, settled: SettledFiles
) -> tuple[dict[str, str], list[str], list[Outcome]]:
    """Return the stamps of the files that are not cached, the files to examine, and the cached outcomes."""
    outcomes = []
    if settled.suffixes:
        fresh = settled.not_clean(rewrite.project.root, wanted)
        known = _known(fresh, listing, settled)
        outcomes = [_recalled(path, text) for path, text in known.items()]
        wanted = [path for path in fresh if path not in known]
    stamps, candidates = {}, []
    for path in wanted:
        found, may_concern = rewrite.glance(path)
        if found is None and not may_concern:
            continue
        stamps[path] = stamp_of(found) if found else UNREADABLE
        if may_concern:
            candidates.append(path)
        else:
            settled.add(path, stamps[path])
    return stamps, candidates, outcomes


def _known(fresh: Mapping[str, str], listing: str, settled: SettledFiles) -> dict[str, str]:
    """Return the cached outcomes, as text, of the *fresh* files, given with their stamps."""
    from capa_codemods.api import is_manifest

    known = {path: settled.outcome_of(path, found, listing) for path, found in fresh.items()}
    if any(text is None and is_manifest(path) for path, text in known.items()):
        settled.forget_outcomes()  # a manifest may be the evidence behind a finding
        return {}
    return {path: text for path, text in known.items() if text is not None}


def _kept(outcome: Outcome | None) -> str:
    """Return *outcome*, of a file that stays as it is, as a line of text; nothing if it is clean."""
    import json

    return json.dumps(outcome[1:]) if outcome is not None else ""


def _recalled(path: str, text: str) -> Outcome:
    import json

    from capa_codemods.api import Finding, Outcome

    status, _, _, findings, _, reason, line, next_step, _ = json.loads(text)
    found = tuple(Finding(*finding) for finding in findings)
    return Outcome(path, status, findings=found, reason=reason, line=line, next_step=next_step)


def _save(
    settled: SettledFiles,
    rewrite: Rewrite,
    rules: Sequence[Rule[Any]],
    listed: Sequence[str],
    sources: Sequence[str],
) -> None:
    root = rewrite.project.root
    try:
        make_migrate_folder(root)
    except OSError:
        return  # a tree that cannot be written to is checked from the start each time
    suffixes = tuple(sorted({suffix for rule in rules for suffix in rule.reads.suffixes}))
    others = (path for path in listed if not rewrite.concerns(path) and "\n" not in path)
    unread = {path for path in others if path.endswith(suffixes)}
    settled.save(map(guard_of, _guards(root, sources)), suffixes, listing_of(listed), unread)


def _guards(root: str, sources: Sequence[str]) -> Iterator[str]:
    """Yield the files and folders whose change may change the outcome of the rules."""
    from capa_codemods.api import source_files

    yield f"{root}/pyproject.toml"
    yield f"{root}/capa.toml"
    yield from sources
    # Installing or removing an adapter, or a package with rules, changes its folder.
    yield from (folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages")))
    yield from source_files()
