"""Extras of Capa that a list of requirements lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from capa_codemods import __version__
from capa_codemods.manifests.needs import is_for_older_python
from capa_codemods.manifests.neighbours import are_pinned
from capa_codemods.manifests.requirement import capa_requirement, read_requirement
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names


class Missing(NamedTuple):
    """Extras of Capa that are not required where an SDK is.

    Attributes:
        marker: The condition under which the SDK is required; empty if it always is.
    """

    extras: tuple[str, ...]
    marker: str = ""

    @property
    def text(self) -> str:
        """The requirement that names them."""
        return capa_requirement(self.extras) + (f"; {self.marker}" if self.marker else "")

    def text_among(self, texts: Sequence[str]) -> str:
        """Return the same, pinned to this version of Capa where all *texts*, the others of the list, are pinned."""
        return self.text.replace("]", f"]=={__version__}", 1) if are_pinned(texts) else self.text

    def is_for(self, text: str, names: Names) -> bool:
        """Return whether the requirement *text* is of an SDK that needs them."""
        found = read_requirement(text)
        owner = names.required(found.name) if found else None
        return (
            found is not None
            and owner is not None
            and found.marker == self.marker
            and owner.extra in self.extras
        )

    def fits(self, text: str) -> bool:
        """Return whether the requirement *text* is of Capa and may name them too."""
        found = read_requirement(text)
        return found is not None and found.name == CAPA_DISTRIBUTION and found.marker == self.marker


def missing(texts: Iterable[str], names: Names) -> list[Missing]:
    """Return the extras of Capa that the SDKs among the requirements *texts* lack, for each marker."""
    wanted: dict[str, set[str]] = {"": set()}
    present: set[str] = set()
    for text in texts:
        requirement = read_requirement(text)
        if requirement is None or is_for_older_python(requirement.marker):
            continue
        if requirement.name == CAPA_DISTRIBUTION:
            present.update(requirement.extras)
        elif owner := names.required(requirement.name):
            wanted.setdefault(requirement.marker, set()).add(owner.extra)
    if "all" in present:
        return []
    always = wanted[""]
    left = {marker: extras - present - (always if marker else set()) for marker, extras in wanted.items()}
    return [Missing(tuple(sorted(extras)), marker) for marker, extras in left.items() if extras]


def missing_extras(texts: Iterable[str], names: Names) -> tuple[str, ...]:
    """Return the extras of Capa that the SDKs among the requirements *texts* lack."""
    return tuple(sorted({extra for one in missing(texts, names) for extra in one.extras}))
