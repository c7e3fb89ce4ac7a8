"""Entry points in manifests: what they load is named by a string.

    worker = "requests.help:main"   →  worker = "capa_requests.help:main"

A module that no adapter lists, or a name that it does not serve, stays and is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from capa_codemods.engine.document import Document
from capa_codemods.findings import Edit, Finding
from capa_codemods.names import Names
from capa_codemods.project import Project

_REFERENCE = re.compile(
    r"(?:[\w.-]+\s*=\s*)?(?P<module>[A-Za-z_][\w.]*)\s*:\s*(?P<name>[A-Za-z_][\w.]*)(?:\s*\[[^\]]*\])?"
)


class Entry(NamedTuple):
    """One entry point as it is written, `name = module:attribute` or without the name; *start* is its first byte."""

    text: str
    start: int
    line: int


class ManifestOfName(Document):
    """A manifest that is known by its name, one of `suffixes`, and may have entry points."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Say whether *path* has the name of such a manifest."""
        return path.rpartition("/")[2] in cls.suffixes

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Say whether *data* may name a distribution, or a module, of an SDK."""
        text = data.decode(errors="replace")
        # Before a dot, as in `requests.help:main`, a name is none of a distribution.
        return names.may_require(text) or names.may_require(text.replace(".", " "))


def moved_entries(
    rule: str, entries: Iterable[Entry], path: str, project: Project
) -> Iterator[Edit | Finding]:
    """Yield what *rule* has to say of the *entries* of the manifest at *path* that load something of an SDK."""
    for entry in entries:
        found = _REFERENCE.fullmatch(entry.text)
        owner = project.names.owner(found["module"]) if found else None
        if found is None or owner is None or project.refusal(found["module"].partition(".")[0], path):
            continue
        target = project.names.target_of(found["module"], found["name"].partition(".")[0])
        if target.module == found["module"] or target.name != found["name"].partition(".")[0]:
            said = f"the entry point `{entry.text}` stays on the original: {owner.package} does not list it"
            yield Finding(rule, entry.line, "warning", said, "name what is meant by hand")
        else:
            start = entry.start + found.start("module")
            yield Edit(start, start + len(found["module"]), target.module.encode(), rule)


def original(text: str, names: Names) -> str:
    """Return the entry point *text* with the old name of its module; any other text as it is."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return text
    return text[: found.start("module")] + names.original(found["module"]) + text[found.end("module") :]
