"""The examination of a tree: the rules on each file that they concern, and the cache for the next run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from capa_codemods.api import (
    Names,
    Outcome,
    Project,
    Rewrite,
    Rule,
    crashed_outcome,
    each_file,
    find_scripts,
    is_lock,
    make_migrate_folder,
    may_be_script,
    plan_capa_toml,
    rare_garbage_collection,
    read_import_map,
)
from capa_migration.errors import OptionsError
from capa_migration.rewrite.choice import select
from capa_migration.rewrite.clues import Clues
from capa_migration.rewrite.missing_requirements import with_missing_requirements
from capa_migration.rewrite.passed_over import Files, failures
from capa_migration.rewrite.settled import (
    UNREADABLE,
    SettledFiles,
    guard_of,
    guarded_files,
    listing_of,
    stamp,
)
from capa_migration.rewrite.sift import Sifted, kept, sift, with_something
from capa_migration.rewrite.target import Options, require_known
from capa_migration.rewrite.unused_requirements import without_unused

if TYPE_CHECKING:
    from capa_migration.rewrite.scan.nearby_reader import NearbyReader
    from capa_migration.rewrite.scan.results import FileResult

Progress = Callable[[int, int], None]


class Examined(NamedTuple):
    """The results of an examination.

    Attributes:
        looked_at: The files that a rule reads, by their names.
        outcomes: Those with something to report.
        passed_over: File → the reason why it was not looked at further.
    """

    looked_at: Sequence[str]
    outcomes: Sequence[Outcome]
    passed_over: Mapping[str, str]


@rare_garbage_collection()
def examine(
    files: Files,
    options: Options,
    settled: SettledFiles,
    *,
    remember: bool,
    progress: Progress | None,
) -> Examined:
    """Examine the *files* that *settled* does not know, and add them to that cache, with *remember* on disk too.

    Raises:
        OptionsError: A rule that is named does not exist, or no adapter is installed.
        RuleError: A rule of another package cannot be used.
        ImportMapError: An adapter's import map is wrong.
    """
    from capa_codemods.api import import_map_paths, rule_offers  # looked up for each run

    maps = import_map_paths()
    if not maps:
        from capa_core.installing import extra_command

        raise OptionsError(f"no adapter is installed to rewrite to: {extra_command('requests')}")
    rules = select(rule_offers(), options)
    names = Names(map(read_import_map, maps))
    require_known(options.sdks, names)
    root, listed = files.target.root, files.listed
    project = Project(root, names, listed, options.roots, options.settings, sdks=options.sdks)
    rewrite = Rewrite(project, rules, find_scripts(root, files.inside, files.target.scopes))
    rewrite.passed_over.update(settled.passed_over)
    wanted = [path for path in files.inside if rewrite.concerns(path)]
    clues = Clues(project.names) if any(rule.id == "imports" for rule in rules) else None
    sifted = sift(rewrite, wanted, listing_of(listed), settled, clues)
    reader = _reader(project, sifted, clues)
    found, calls = _read(rewrite, sifted, reader, progress)
    outcomes = _with_settings(rewrite, found)
    if reader is not None:
        from capa_migration.rewrite.unserved_calls import with_unserved_calls

        outcomes = with_unserved_calls(project, outcomes, calls)
    told = with_something(outcomes)
    asked = without_unused(rewrite, told)
    replaced = {one.path for one, other in zip(told, asked, strict=True) if one is not other}
    _settle(settled, sifted, outcomes, replaced)
    sources = [rule.source for rule in rules]
    if remember and not files.target.scopes and None not in sources:
        _save(settled, rewrite, frozenset(wanted), rules, [*maps, *filter(None, sources)])
    reported = with_missing_requirements(project, asked)
    unread = [] if options.pass_over else failures(files, wanted)
    return Examined(wanted, [*reported, *unread], rewrite.passed_over)


def _reader(project: Project, sifted: Sifted, clues: Clues | None) -> NearbyReader | None:
    """Return what reads calls that no adapter serves, if a file may hold one."""
    if clues is None or not sifted.clued:
        return None
    from capa_migration.rewrite.scan.nearby_reader import NearbyReader

    return NearbyReader(project, clues)


def _read(
    rewrite: Rewrite, sifted: Sifted, reader: NearbyReader | None, progress: Progress | None
) -> tuple[list[Outcome], dict[str, FileResult]]:
    """Return the outcomes, cached ones and those of the candidates, and the call sites that *reader* has found.

    A file that is read for both is parsed once.
    """
    candidates = frozenset(sifted.candidates)
    concerned = reader.concerned(sifted.clued) if reader is not None else frozenset()
    outcomes, calls = list(sifted.outcomes), {}

    def work(path: str) -> tuple[Outcome | None, FileResult | None]:
        # In this order: for the calls, a file is read as a whole.
        found = reader.results(path) if reader is not None and path in concerned else None
        return rewrite.remark(path) if path in candidates else None, found

    def crashed(path: str) -> tuple[Outcome | None, FileResult | None]:
        return crashed_outcome(path) if path in candidates else None, None

    paths = sorted(candidates | concerned)
    for number, (path, answer) in enumerate(zip(paths, each_file(work, paths, crashed), strict=True), 1):
        outcome, found = answer or (None, None)
        if outcome is not None:
            outcomes.append(outcome)
        if found is not None:
            calls[path] = found
        if progress:
            progress(number, len(paths))
    return outcomes, calls


def _settle(
    settled: SettledFiles, sifted: Sifted, outcomes: Sequence[Outcome], replaced: Collection[str]
) -> None:
    """Add to the cache each file that stays as it is; some are looked at again when another has changed.

    Those whose outcome was *replaced* because of the rest of the tree are looked at each time.
    """
    held = {one.path: one for one in outcomes}
    held = {**{path: Outcome(path, "clean") for path in (*sifted.clued, *sifted.sharing)}, **held}
    for path, found in sifted.stamps.items():
        outcome = held.get(path)
        if path in replaced:
            settled.forget_outcome(path, found)
        elif outcome is None or (outcome.status != "changed" and not outcome.settings):
            settled.add(path, found, kept(outcome))


def _with_settings(rewrite: Rewrite, outcomes: list[Outcome]) -> list[Outcome]:
    """Return *outcomes*, and the outcome of capa.toml with the settings that the rules want in it.

    Code that depends on a setting is left as it is if capa.toml cannot hold that setting.
    """
    if not any(outcome.settings for outcome in outcomes):
        return outcomes
    made = plan_capa_toml(rewrite.project.root, outcomes)
    found = []
    for outcome in outcomes:
        refused = {setting.rule for setting in outcome.settings if setting in made.refused}
        found.append(rewrite.without(refused).examine(outcome.path) if refused else outcome)
    return [*found, made.outcome] if made.outcome is not None else found


def _save(
    settled: SettledFiles,
    rewrite: Rewrite,
    wanted: Collection[str],
    rules: Sequence[Rule[Any]],
    sources: Sequence[str],
) -> None:
    root = rewrite.project.root
    try:
        make_migrate_folder(root)
    except OSError:
        return  # a tree that cannot be written to is checked from the start each time
    suffixes = tuple(sorted({suffix for rule in rules for suffix in rule.reads.suffixes}))
    listed = rewrite.project.files
    others = [path for path in listed if path not in wanted and "\n" not in path]
    plain = [path for path in others if may_be_script(path)]
    for path in plain:
        settled.add(path, stamp(f"{root}/{path}") or UNREADABLE)
    # No rule reads a lock file as a document; the outcome of its manifest depends on it.
    locks = [f"{root}/{path}" for path in listed if is_lock(path) and "\n" not in path]
    settled.save(
        map(guard_of, guarded_files(root, [*sources, *locks])),
        suffixes,
        listing_of(listed),
        unread=(path for path in others if path.endswith(suffixes) and not may_be_script(path)),
        plain=plain,
        passed_over=rewrite.passed_over,
    )
