"""Files that a rewrite is about to replace, made from the outcome that was proven and the file as it is now."""

from __future__ import annotations

from typing import NamedTuple

from capa_codemods.findings import Edit, Outcome
from capa_codemods.read.files import digest
from capa_codemods.write.splice import splice


class PlannedFile(NamedTuple):
    """One file that is going to be replaced: *before* (None: it is made) becomes *after*.

    *needs* is the file that must have been replaced before, if there is one: without it, this one stays too.
    """

    path: str
    before: bytes | None
    after: bytes
    edits: tuple[Edit, ...]
    needs: str = ""


def planned_file(outcome: Outcome, data: bytes | None) -> PlannedFile | None:
    """Return the file of *outcome*, which holds *data* now (None: it is not there).

    None if *data* are not the bytes that were read, or its edits do not give the bytes that were proven.
    """
    before, proven = outcome.digests
    if ("" if data is None else digest(data)) != before:
        return None
    after = splice(data or b"", outcome.edits)
    return PlannedFile(outcome.path, data, after, outcome.edits) if digest(after) == proven else None
