"""Requirements of SDKs of which nothing moves: another package needs them, or all of their use stays on the original.

Capa's extra is not added for them, to a manifest or the header of a script, and no command that installs them lacks it.
"""

from __future__ import annotations

from collections.abc import Sequence

from capa_codemods.api import (
    CommandFile,
    Finding,
    ImportMap,
    Names,
    Outcome,
    Project,
    Rewrite,
    Sieve,
    find_rule,
    read_file,
    spellings_pattern,
)
from capa_migration.rewrite.python_files import PYTHON, names_one, python_files

_RULE = "manifests"
_MOVING = ("imports", "strings", "notebooks")
"""The rules by which code comes to need an adapter."""
_HEADER = "script-header"


def without_unused(rewrite: Rewrite, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return *outcomes*, one for one, without requirements of SDKs of which nothing in the tree moves.

    A tree without Python holds the requirements of code that is elsewhere: they are kept.
    """
    project = rewrite.project
    named = {one.path: _named(one, project) for one in outcomes if _may_require(one, project)}
    owners = {owner.name: owner for listed in named.values() for owner in listed}
    unused = [owner for owner in owners.values() if not _is_used(owner, project, outcomes)]
    if not unused or not any(path.endswith(PYTHON) for path in project.files):
        return list(outcomes)
    others = rewrite.with_names(Names(one for one in project.names.maps if one not in unused))
    found = []
    for outcome in outcomes:
        left = [owner for owner in named.get(outcome.path, ()) if owner in unused]
        found.append(_without(left, outcome, others) if left else outcome)
    return found


def _may_require(outcome: Outcome, project: Project) -> bool:
    """Return whether *outcome* is of a manifest, of commands, or of a script whose header changes."""
    has_header = any(edit.rule == _HEADER for edit in outcome.edits)
    return has_header or project.is_required(outcome.path) or CommandFile.claims(outcome.path)


def _named(outcome: Outcome, project: Project) -> list[ImportMap]:
    # The header of a script is in its comments, which the text of a manifest lacks.
    is_script = any(edit.rule == _HEADER for edit in outcome.edits)
    text = _text(outcome.path, project) if is_script else project.text_of(outcome.path)
    return [one for one in project.names.maps if spellings_pattern(one.distributions).search(text)]


def _text(path: str, project: Project) -> str:
    return (read_file(f"{project.root}/{path}") or b"").decode(errors="replace")


def _is_used(owner: ImportMap, project: Project, outcomes: Sequence[Outcome]) -> bool:
    """Return whether a file of the tree names the adapter of *owner*, or comes to name it."""
    if any(_names_adapter(one, owner) for one in outcomes):
        return True
    moving = Rewrite(project, filter(None, map(find_rule, _MOVING)))
    adapter, original = Sieve([owner.package]), Sieve(owner.roots)
    for path in python_files(project):
        try:
            data = read_file(f"{project.root}/{path}") or b""
        except OSError:
            return True  # it may
        if names_one(adapter, path, data):
            return True
        if names_one(original, path, data):
            outcome = moving.examine(path)
            if outcome.status == "failed" or _names_adapter(outcome, owner):
                return True
    return False


def _names_adapter(outcome: Outcome, owner: ImportMap) -> bool:
    return any(owner.package.encode() in edit.new for edit in outcome.edits)


def _without(unused: Sequence[ImportMap], outcome: Outcome, others: Rewrite) -> Outcome:
    """Return *outcome* as it is under the names of *others*, with a note about each of *unused*."""
    found = others.examine(outcome.path)
    if outcome.path.endswith(PYTHON) and not others.project.is_required(outcome.path):
        return found._replace(findings=outcome.findings)  # a script: what is told of its code stays true
    return _left(found, unused)


def _left(outcome: Outcome, unused: Sequence[ImportMap]) -> Outcome:
    notes = [
        Finding(
            _RULE,
            1,
            "note",
            f"nothing of {owner.name} moves in this tree, so capa-core[{owner.extra}] is not asked for",
            "add it by hand if code elsewhere uses it",
        )
        for owner in unused
    ]
    return outcome._replace(findings=(*notes, *outcome.findings))
