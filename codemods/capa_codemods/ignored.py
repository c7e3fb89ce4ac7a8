"""Comments that keep a rule away, `# capa: ignore[imports]`, where there is no rule of that name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from capa_codemods.findings import Finding
from capa_codemods.rules import offers

_NAMED = re.compile(rb"#\s*capa:\s*ignore\[([^\]\r\n]*)\]")


def misnamed(data: bytes) -> Iterator[Finding]:
    """Yield a finding for each name in a comment of *data* that is no rule's, so that nobody relies on it."""
    known = [offer.id for offer in offers()]
    for found in _NAMED.finditer(data):
        for name in found[1].decode(errors="replace").split(","):
            if name.strip() not in known:
                near = difflib.get_close_matches(name.strip(), known, 1)
                said = f"there is no rule `{name.strip()}`, so the comment keeps none of that name away"
                step = f"write `{near[0]}`" if near else "`capa migrate check --list-rules` shows all"
                yield Finding("ignore", data.count(b"\n", 0, found.start()) + 1, "warning", said, step)
