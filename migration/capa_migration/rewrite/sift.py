"""The sift of a rewrite: which files have to be examined, and what is known of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from capa_migration.rewrite.settled import UNREADABLE, SettledFiles, stamp_of

if TYPE_CHECKING:
    from capa_codemods.api import Outcome, Project, Rewrite
    from capa_migration.rewrite.clues import Clues

_PYTHON = (".py", ".pyi", ".pyw", ".ipynb")
"""Endings of files that stay clean whatever a manifest becomes; a manifest or a command may depend on another."""
_CALLS = tuple(ending for ending in _PYTHON if ending != ".pyi")
"""Endings of files with code that runs."""


class Sifted(NamedTuple):
    """The files of one run.

    Attributes:
        stamps: Path → stamp, of each file that is not known to be clean.
        candidates: The files to examine.
        outcomes: The cached outcomes of others.
        clued: The files that may hold a call that no adapter serves.
        sharing: The files with a string that other files may patch or import.
    """

    stamps: dict[str, str]
    candidates: list[str]
    outcomes: list[Outcome]
    clued: list[str]
    sharing: list[str]


def sift(
    rewrite: Rewrite, wanted: list[str], listing: str, settled: SettledFiles, clues: Clues | None
) -> Sifted:
    """Find the files that are to be examined, and those whose outcomes are cached."""
    found = Sifted({}, [], [], [], [])
    watch = _watch(found, rewrite.project, clues)
    if settled.suffixes:
        fresh = settled.not_clean(rewrite.project.root, wanted)
        known = _known(fresh, listing, settled, rewrite.project)
        if any(map(rewrite.project.binds_others, fresh.keys() - known.keys())):
            others = [path for path in wanted if not path.endswith(_PYTHON)]
            fresh |= settled.reopened(rewrite.project.root, others)
        found.stamps.update(fresh)
        for path in known:
            rewrite.glance(path, watch)
        wanted = [path for path in fresh if path not in known]
        if any(path.endswith(_PYTHON) for path in wanted):
            # It may patch or import, or no longer, what they hold or pass on.
            for path in found.sharing:
                settled.forget_outcome(path, fresh[path])
                del known[path]
            found.candidates.extend(found.sharing)
        found.outcomes.extend(recalled(path, text) for path, text in known.items())
    for path in wanted:
        status, may_concern = rewrite.glance(path, watch)
        if status is not None or may_concern:
            found.stamps[path] = stamp_of(status) if status else UNREADABLE
        if may_concern:
            found.candidates.append(path)
    return found


def _watch(found: Sifted, project: Project, clues: Clues | None) -> Callable[[str, bytes], None]:
    """Return a function that adds the path of each Python file to the lists of *found* that its bytes put it on."""

    def watch(path: str, data: bytes) -> None:
        if not path.endswith(_CALLS):
            return
        if clues is not None and clues.are_in(data):
            found.clued.append(path)
        if project.names.sieve.is_shared(data):
            found.sharing.append(path)

    return watch


def _known(fresh: Mapping[str, str], listing: str, settled: SettledFiles, project: Project) -> dict[str, str]:
    """Return the cached outcomes, as text, of the *fresh* files, given with their stamps."""
    known = {path: settled.outcome_of(path, found, listing) for path, found in fresh.items()}
    if any(text is None and project.binds_others(path) for path, text in known.items()):
        settled.forget_outcomes()  # a manifest may be the evidence behind a finding
        return {}
    return {path: text for path, text in known.items() if text is not None}


def kept(outcome: Outcome | None) -> str:
    """Return *outcome*, of a file that stays as it is, as a line of text; nothing if it is clean."""
    import json

    return json.dumps(outcome[1:]) if outcome is not None else ""


def recalled(path: str, text: str) -> Outcome:
    """Return the outcome of the file at *path* from its *text*, a line of `kept`."""
    import json

    from capa_codemods.api import Finding, Outcome

    status, _, _, findings, _, reason, line, next_step, _ = json.loads(text)
    found = tuple(Finding(*finding) for finding in findings)
    return Outcome(path, status, findings=found, reason=reason, line=line, next_step=next_step)


def with_something(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the *outcomes* that have something to report."""
    return [one for one in outcomes if one.status != "clean" or one.findings or one.settings]
