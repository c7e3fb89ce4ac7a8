"""Comments such as `# capa: ignore[imports]` that name a rule which does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Finding
from capa_codemods.read.document import Document, ignored_rules
from capa_codemods.rules import rule_offers

_UNSERVED = "unserved"
"""Keeps the warnings of calls that no adapter serves from a line, as the ID of their reason (`celery/events`) does."""


def unknown_rules(kind: type[Document], path: str, data: bytes) -> Iterator[Finding]:
    """Yield a finding for each name in such a comment of the file that no rule has: the comment has no effect."""
    if ignored_rules(data) is None:  # no need to read it once more
        return
    try:
        comments = kind(path, data).ignoring
    except UnreadableError:
        return  # reported elsewhere, and nothing is changed in it
    known = [offer.id for offer in rule_offers()] + [_UNSERVED]
    for line, names in comments:
        yield from (_finding(line, name, known) for name in names if name not in known and "/" not in name)


def _finding(line: int, name: str, known: list[str]) -> Finding:
    near = difflib.get_close_matches(name, known, 1)
    message = f"there is no rule `{name}`, so the comment has no effect"
    step = f"write `{near[0]}`" if near else "`capa migrate check --list-rules` shows all"
    return Finding("ignore", line, "warning", message, step)
