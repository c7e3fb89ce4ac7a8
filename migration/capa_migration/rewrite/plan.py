"""Find out what a rewrite would do to a tree, at the cost of a look at each file if there is nothing to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capa_codemods.api import MIGRATE_FOLDER, __version__, list_files, make_migrate_folder
from capa_migration.errors import OptionsError, TargetError
from capa_migration.rewrite.settled import OUT_OF_REACH, Settled, guard_of, listing_of, stamp_of
from capa_migration.rewrite.target import Options, Target

if TYPE_CHECKING:
    from capa_codemods.api import Outcome, Rewrite

Progress = Callable[[int, int], None]


class Plan:
    """What a rewrite would do to a tree.

    Attributes:
        root: Absolute path of the tree.
        seen: How many files a rule reads, by their names.
        outcomes: Of each file that is not clean, or where something was found; in the order of paths.
    """

    def __init__(self, root: str, seen: int, outcomes: Sequence[Outcome] = ()) -> None:
        """Hold what was found out."""
        self.root = root
        self.seen = seen
        self.outcomes = tuple(outcomes)

    def of(self, status: str) -> list[Outcome]:
        """Return the outcomes with this *status*."""
        return [outcome for outcome in self.outcomes if outcome.status == status]

    @property
    def failures(self) -> list[Outcome]:
        """The files that could not be read or proven, and of other files the faults of rules alone."""
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
    """Return the plan for the tree or the parts of a tree at *paths*. Writes to nothing but its own cache.

    Args:
        paths: Folders and files.
        options: Which rules, and which files not.
        remember: Keep the clean files in mind for the next run.
        progress: Told how many files are done, and of how many.

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
    barred = _barred(target, listed)
    if not barred and settled.suffixes and (fast := _when_all_settled(target, listed, settled)) is not None:
        return fast
    plan = _examine(target, options, listed, settled, remember=remember, progress=progress)
    return Plan(plan.root, plan.seen, sorted([*plan.outcomes, *barred])) if barred else plan


def _of_excluded(target: Target) -> Plan:
    """Return the plan for files that the options leave out: such as are named by a hook before a commit."""
    if not target.within(list_files(target.root)):
        named = ", ".join(target.scopes)
        raise TargetError(
            f"{named}: nothing here is a file of the project at {target.root}: give another path"
        )
    return Plan(target.root, 0)


def _barred(target: Target, listed: Sequence[str]) -> list[Outcome]:
    """Return an outcome for each folder that could not be listed, so that nobody takes it for empty."""
    folders = [path for path in listed if path.endswith("/")]
    found = [path for path in target.within(folders) if not os.path.lexists(f"{target.root}/{path}.git")]
    if not found:
        return []
    from capa_codemods.api import Outcome

    step = "allow reading it, or leave it out with --exclude"
    return [
        Outcome(path, "failed", reason=f"cannot be listed: {_why(f'{target.root}/{path}')}", next_step=step)
        for path in found
    ]


def _why(folder: str) -> str:
    try:
        os.scandir(folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return "the disk failed for a moment"


def _open_cache(root: str, options: Options) -> Settled:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Settled.open(f"{root}/{MIGRATE_FOLDER}/settled", f"{__version__} {version} {options.key()}")


def _when_all_settled(target: Target, listed: list[str], settled: Settled) -> Plan | None:
    """Return the plan if the cache knows every file, without loading a single rule."""
    ended = [path for path in target.within(listed) if path.endswith(settled.suffixes)]
    wanted = [path for path in ended if path not in settled.unread]
    listing = listing_of(listed)
    said = []
    for path, found in settled.not_clean(target.root, wanted).items():
        text = settled.said_of(path, found, listing)
        if text is None:
            return None
        said.append((path, text))
    return Plan(target.root, len(wanted), [_recalled(path, text) for path, text in said])


def _examine(
    target: Target,
    options: Options,
    listed: list[str],
    settled: Settled,
    *,
    remember: bool,
    progress: Progress | None,
) -> Plan:
    from capa_codemods.api import (
        Names,
        Project,
        Rewrite,
        crashed_outcome,
        each_file,
        import_map_paths,
        read_import_map,
        rule_offers,
    )
    from capa_migration.rewrite.choice import select
    from capa_migration.rewrite.unasked import unasked

    maps = import_map_paths()
    if not maps:
        raise OptionsError("no adapter is installed to rewrite to: pip install 'capa-core[requests]'")
    rules = select(rule_offers(), options)
    project = Project(target.root, Names(map(read_import_map, maps)), listed, options.roots, options.settings)
    rewrite = Rewrite(project, rules)
    wanted = [path for path in target.within(listed) if rewrite.concerns(path)]
    listing = listing_of(listed)
    stamps, candidates, outcomes = _sift(rewrite, wanted, listing, settled)
    for number, (path, outcome) in enumerate(
        zip(candidates, each_file(rewrite.remark, candidates, crashed_outcome), strict=True), 1
    ):
        if outcome is not None:
            outcomes.append(outcome)
        if outcome is None or (outcome.status != "changed" and not outcome.settings):
            settled.add(path, stamps[path], _kept(outcome))
        if progress:
            progress(number, len(candidates))
    outcomes = _with_settings(rewrite, outcomes)
    sources = [rule.source for rule in rules]
    if remember and not target.scopes and None not in sources:
        suffixes = tuple(sorted({suffix for rule in rules for suffix in rule.reads.suffixes}))
        others = (path for path in listed if not rewrite.concerns(path) and "\n" not in path)
        unread = {path for path in others if path.endswith(suffixes)}
        _save(
            settled,
            target.root,
            _guards(target.root, [*maps, *filter(None, sources)]),
            suffixes,
            listing,
            unread,
        )
    return Plan(target.root, len(wanted), sorted(unasked(project, outcomes)))


def _with_settings(rewrite: Rewrite, outcomes: list[Outcome]) -> list[Outcome]:
    """Return *outcomes*, and what becomes of capa.toml by what the rules want to stand there.

    Code that counts on a setting is left as it is where capa.toml does not take that setting.
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
    rewrite: Rewrite, wanted: list[str], listing: str, settled: Settled
) -> tuple[dict[str, str], list[str], list[Outcome]]:
    """Return the stamps of the files that were looked at, those to examine, and what is known of the others."""
    outcomes = []
    if settled.suffixes:
        fresh = settled.not_clean(rewrite.project.root, wanted)
        said = _said(fresh, listing, settled)
        outcomes = [_recalled(path, text) for path, text in said.items()]
        wanted = [path for path in fresh if path not in said]
    stamps, candidates = {}, []
    for path in wanted:
        found, may_concern = rewrite.glance(path)
        if found is None and not may_concern:
            continue
        stamps[path] = stamp_of(found) if found else OUT_OF_REACH
        if may_concern:
            candidates.append(path)
        else:
            settled.add(path, stamps[path])
    return stamps, candidates, outcomes


def _said(fresh: Mapping[str, str], listing: str, settled: Settled) -> dict[str, str]:
    """Return what is remembered of the *fresh* files, which have their stamps with them."""
    from capa_codemods.api import is_manifest

    said = {path: settled.said_of(path, found, listing) for path, found in fresh.items()}
    if any(text is None and is_manifest(path) for path, text in said.items()):
        settled.forget_said()  # a manifest may be the evidence that a finding was about
        return {}
    return {path: text for path, text in said.items() if text is not None}


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


def _save(settled: Settled, root: str, guards: Iterable[str], *told: Any) -> None:
    try:
        make_migrate_folder(root)
    except OSError:
        return  # a tree that cannot be written to is checked from the start each time
    settled.save(map(guard_of, guards), *told)


def _guards(root: str, sources: Sequence[str]) -> Iterator[str]:
    """Yield the files and folders whose change may change what the rules say."""
    from capa_codemods.api import source_files

    yield f"{root}/pyproject.toml"
    yield f"{root}/capa.toml"
    yield from sources
    # Installing or removing an adapter, or a package with rules, changes its folder.
    yield from (folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages")))
    yield from source_files()
