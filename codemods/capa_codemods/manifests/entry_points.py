"""Entry points in manifests: a string names the module that each of them loads.

    worker = "requests.help:main"   →  worker = "capa_requests.help:main"
    plugin = "celery.contrib.x"     →  plugin = "capa_celery.contrib.x"

A module that no adapter lists, or a name that it does not serve, stays and is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.pins import Manifest
from capa_codemods.project import Project
from capa_codemods.sdks.names import Names

_REFERENCE = re.compile(
    r"(?:[\w.-]+\s*=\s*)?(?P<module>[A-Za-z_][\w.]*)(?:\s*:\s*(?P<name>[A-Za-z_][\w.]*))?(?:\s*\[[^\]]*\])?"
)


class Entry(NamedTuple):
    """One entry point as it is written; *start* is its first byte.

    `name = module:attribute`, where the name or the attribute may be missing.
    """

    text: str
    start: int
    line: int


class ManifestOfName(Manifest):
    """A manifest that is known by its name, one of `suffixes`, and may have entry points."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether *path* has the name of such a manifest."""
        return path.rpartition("/")[2] in cls.suffixes

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* may name a distribution, or a module, of an SDK."""
        text = data.decode(errors="replace")
        # Before a dot, as in `requests.help:main`, a name is that of a module and not of a distribution.
        return names.may_require(text) or names.may_require(text.replace(".", " "))


def moved_entries(
    rule: str, entries: Iterable[Entry], path: str, project: Project
) -> Iterator[Edit | Finding]:
    """Yield the edits and findings of *rule* for those *entries* of the manifest at *path* that load from an SDK."""
    for entry in entries:
        found = _REFERENCE.fullmatch(entry.text)
        owner = project.names.owner(found["module"]) if found else None
        if found is None or owner is None or project.refusal(found["module"].partition(".")[0], path):
            continue
        target = _target(found["module"], found["name"] or "", project.names)
        if target is None:
            line = project.names.nearest_line(".".join(filter(None, (found["module"], found["name"]))))
            reason = line.reason if line and line.support == "none" else f"{owner.package} does not list it"
            message = f"the entry point `{entry.text}` stays on the original: {reason}"
            yield Finding(rule, entry.line, "warning", message, "write the module to load by hand")
        else:
            start = entry.start + found.start("module")
            yield Edit(start, start + len(found["module"]), target.encode(), rule)


def _target(module: str, attribute: str, names: Names) -> str | None:
    """Return the new module of *attribute* in *module*, or of all of *module*; None if it must stay."""
    if not attribute:
        line = names.line(module)
        return None if line and line.support == "none" else names.modules.get(module)
    name = attribute.partition(".")[0]
    target = names.target_of(module, name)
    return None if target.module == module or target.name != name else target.module


def original(text: str, names: Names) -> str:
    """Return the entry point *text* with the old name of its module; any other text as it is."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return text
    return text[: found.start("module")] + names.original(found["module"]) + text[found.end("module") :]
