"""Requirements of an SDK in versions that its adapter does not take: no environment can have both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from capa_codemods.findings import Finding
from capa_codemods.manifests.requirement import capa_requirement, read_requirement
from capa_codemods.manifests.versions import are_disjoint
from capa_codemods.sdks.names import Names

P = TypeVar("P")


def contradictions(
    rule: str, asked: Iterable[tuple[str, P]], line_of: Callable[[P], int], names: Names
) -> Iterator[Finding]:
    """Yield what *rule* has to say of those of the requirements *asked*, each with its place, that exclude Capa's."""
    for text, place in asked:
        found = read_requirement(text)
        owner = names.required(found.name) if found else None
        if found and owner and are_disjoint(found.versions, owner.versions):
            message = f"`{found.name}{found.versions}` excludes {capa_requirement([owner.extra])}"
            message += f", which needs {found.name}{owner.versions}"
            step = "move to such a version first, on the original"
            yield Finding(rule, line_of(place), "warning", message, step)
