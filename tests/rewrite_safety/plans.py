"""The smallest plan there is: one import moves."""

from __future__ import annotations

from capa_codemods.findings import Edit
from capa_codemods.write.planned import PlannedFile
from capa_codemods.write.splice import ordered_edits

BEFORE, AFTER = b"import requests\nx = 1\n", b"import capa_requests as requests\nx = 1\n"
EDITS = ordered_edits([Edit(7, 15, b"capa_requests as requests", "imports")])


def planned(*names: str) -> list[PlannedFile]:
    """Return the plan that moves the import in each of the files *names*."""
    return [PlannedFile(name, BEFORE, AFTER, EDITS) for name in names]
