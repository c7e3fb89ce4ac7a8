"""Versions of other distributions that Capa needs, by itself and for each of its extras.

The installed metadata of the distribution has them; the import maps add the versions of the originals.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

from capa_codemods.discovery import own_requirements
from capa_codemods.manifests.requirement import Requirement, capa_requirement, read_requirement
from capa_codemods.manifests.versions import are_disjoint
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names

PYTHON = "python"
"""The name of the interpreter among distributions, as conda and Poetry have it."""

_EXTRA = re.compile(r"extra\s*==\s*[\"']([\w.-]+)[\"']")
_PYTHON = re.compile(
    r"(?:^|\band\s)\s*python_(?:full_)?version\s*([<>=!~]=?)\s*[\"']([\d.*]+)[\"']\s*(?=$|\band\b)"
)


class Need(NamedTuple):
    """The *versions* of the distribution *name* that the requirement *by*, of Capa, needs."""

    name: str
    versions: str
    by: str


def needs(extras: Collection[str], names: Names) -> Iterator[Need]:
    """Yield the needs of Capa with *extras*: of the originals first, then of each requirement of its own."""
    for one in names.maps:
        if not {one.extra, "all"}.isdisjoint(extras):
            yield from (Need(name, one.versions, capa_requirement([one.extra])) for name in one.distributions)
    for extra, found in _own_needs():
        if not extra:
            yield Need(found.name, found.versions, CAPA_DISTRIBUTION)
        elif extra in extras:
            yield Need(found.name, found.versions, capa_requirement([extra]))


@cache
def _own_needs() -> tuple[tuple[str, Requirement], ...]:
    """Return the requirements of Capa that always hold or hold for one extra, each after that extra."""
    found = []
    for text in own_requirements():
        requirement = read_requirement(text)
        if requirement is None:
            continue
        extra = _EXTRA.fullmatch(requirement.marker)
        if extra or not requirement.marker:
            found.append((extra[1] if extra else "", requirement))
    return tuple(found)


def is_for_older_python(marker: str) -> bool:
    """Return whether *marker* holds only for versions of Python on which Capa does not run."""
    asked = [f"{operator}{version}" for operator, version in _PYTHON.findall(marker)]
    if not asked or " or " in marker:
        return False
    return any(
        are_disjoint(",".join(asked), found.versions) for _, found in _own_needs() if found.name == PYTHON
    )
