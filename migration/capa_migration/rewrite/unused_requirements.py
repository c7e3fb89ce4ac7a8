"""Requirements of SDKs that no file uses: another package needs them, so Capa's extra is not added for them."""

from __future__ import annotations

from collections.abc import Sequence

from capa_codemods.api import (
    Finding,
    ImportMap,
    Names,
    NotebookFile,
    Outcome,
    Project,
    PythonFile,
    Rewrite,
    Sieve,
    find_scripts,
    read_file,
    spellings_pattern,
)

_RULE = "manifests"
_PYTHON = (*PythonFile.suffixes, *NotebookFile.suffixes)


def without_unused(rewrite: Rewrite, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return *outcomes* with those of manifests as they are without the SDKs that no file of the tree uses.

    A tree without Python holds the requirements of code that is elsewhere: they are kept.
    """
    project = rewrite.project
    named = {one.path: _named(one.path, project) for one in outcomes if project.is_required(one.path)}
    owners = {owner.name: owner for listed in named.values() for owner in listed}
    unused = [owner for owner in owners.values() if not _is_used(owner, project, outcomes)]
    if not unused or not any(path.endswith(_PYTHON) for path in project.files):
        return list(outcomes)
    others = rewrite.with_names(Names(one for one in project.names.maps if one not in unused))
    found = []
    for outcome in outcomes:
        left = [owner for owner in named.get(outcome.path, ()) if owner in unused]
        found.append(_left(others.examine(outcome.path), left) if left else outcome)
    return found


def _named(manifest: str, project: Project) -> list[ImportMap]:
    text = project.text_of(manifest)
    return [one for one in project.names.maps if spellings_pattern(one.distributions).search(text)]


def _is_used(owner: ImportMap, project: Project, outcomes: Sequence[Outcome]) -> bool:
    """Return whether a file of the tree may import the SDK of *owner* or its adapter, or name it in a string."""
    if any(
        owner.package.encode() in edit.new for one in outcomes for edit in one.edits if edit.rule == "imports"
    ):
        return True
    sieve = Sieve([*owner.roots, owner.package])
    scripts = find_scripts(project.root, project.files)
    for path in project.files:
        if path.endswith(_PYTHON) or path in scripts:
            uses = sieve.names if NotebookFile.claims(path) else sieve.imports_or_quotes
            try:
                data = read_file(f"{project.root}/{path}")
            except OSError:
                return True  # it may
            if data and uses(data):
                return True
    return False


def _left(outcome: Outcome, unused: Sequence[ImportMap]) -> Outcome:
    notes = [
        Finding(
            _RULE,
            1,
            "note",
            f"no file of the tree uses {owner.name}, so capa-core[{owner.extra}] is not asked for",
            "add it by hand if code elsewhere uses it",
        )
        for owner in unused
    ]
    return outcome._replace(findings=(*notes, *outcome.findings))
