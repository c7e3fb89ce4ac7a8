"""Requirements of an SDK in versions that its adapter does not support: no environment can have both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from capa_codemods.findings import Finding
from capa_codemods.manifests.requirement import capa_requirement, read_requirement
from capa_codemods.manifests.versions import are_disjoint
from capa_codemods.sdks.names import Names

P = TypeVar("P")


def contradictions(
    rule: str, required: Iterable[tuple[str, P]], line_of: Callable[[P], int], names: Names
) -> Iterator[Finding]:
    """Yield a finding of *rule* for each of the requirements *required*, with their places, that excludes Capa's."""
    for text, place in required:
        found = read_requirement(text)
        owner = names.required(found.name) if found else None
        if found and owner and are_disjoint(found.versions, owner.versions):
            message = f"`{found.name}{found.versions}` excludes {capa_requirement([owner.extra])}"
            message += f", which needs {found.name}{owner.versions}"
            step = "move to such a version of the original first"
            yield Finding(rule, line_of(place), "warning", message, step)
