"""One outcome for a file that was read as several kinds: setup.py is Python and a manifest."""

from __future__ import annotations

from collections.abc import Sequence

from capa_codemods.engine.document import Document
from capa_codemods.engine.splice import Shift, ordered, splice
from capa_codemods.engine.write import digest
from capa_codemods.findings import Edit, Outcome
from capa_codemods.names import Names

Reading = tuple[type[Document], Outcome]


def combined(data: bytes, readings: Sequence[Reading], names: Names) -> Outcome:
    """Return what becomes of a file that holds *data*, from what becomes of it as each kind.

    Each outcome has been proven by itself. Where several change the file, each is proven once more on top of those
    before it, as its own kind of document.
    """
    outcomes = [outcome for _, outcome in readings]
    changed = [reading for reading in readings if reading[1].status == "changed"]
    failed = next((outcome for outcome in outcomes if outcome.status == "failed"), None)
    if failed is None and len(changed) > 1:
        main = _on_top(data, changed, names)
    else:
        main = failed or (changed[0][1] if changed else outcomes[0])
    findings = sorted((one for outcome in outcomes for one in outcome.findings), key=lambda one: one.line)
    settings = tuple(setting for outcome in outcomes for setting in outcome.settings)
    return main._replace(findings=tuple(findings), settings=settings)


def _on_top(data: bytes, changed: Sequence[Reading], names: Names) -> Outcome:
    edits: tuple[Edit, ...] = ()
    for kind, outcome in changed:
        try:
            together = ordered([*edits, *outcome.edits])
        except ValueError as error:
            return unproven(outcome.path, str(error))
        before, shift = splice(data, edits), Shift(edits)
        moved = [_moved(edit, shift) for edit in outcome.edits]
        after = splice(before, moved)
        flaw = kind(outcome.path, before).flaw(after, moved, names) if edits else None
        if flaw is not None or after != splice(data, together):
            return unproven(outcome.path, flaw or "its parts do not fit together")
        edits = together
    changes = sorted(
        (change for _, outcome in changed for change in outcome.changes), key=lambda one: one.line
    )
    digests = (digest(data), digest(splice(data, edits)))
    return changed[0][1]._replace(edits=edits, changes=tuple(changes), digests=digests)


def _moved(edit: Edit, shift: Shift) -> Edit:
    start = shift.of(edit.start)
    return edit._replace(start=start, end=start + edit.end - edit.start)


def unproven(path: str, flaw: str) -> Outcome:
    """Return the outcome of a file whose rewrite has a *flaw*: it stays as it is."""
    return Outcome(
        path,
        "failed",
        reason=f"the rewrite could not be proven: {flaw}",
        next_step="it was left as it is: change it by hand, and report the file as a fault of Capa",
    )
