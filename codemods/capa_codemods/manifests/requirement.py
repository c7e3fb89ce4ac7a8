"""Requirements as pip and the packaging standards write them: enough of them to name one, its extras and its marker."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names, normalized_name

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?")
_JOINED_LINES = re.compile(r"\\(?:\r\n|\r|\n)")
# The address of a repository, as only pip's files have it.
_REPOSITORY = re.compile(
    r"\s*(?:(?:-e|--editable)[\s=]\s*)?(?:git|hg|svn|bzr)\+[a-z+]+://[^/\s]*(/[^\s#]*)(?:#(\S*))?"
)
# Options behind a requirement, such as `--hash=…`, which only pip's files have.
_OPTIONS = re.compile(r"\s--\w.*", re.DOTALL)


class Requirement(NamedTuple):
    """One requirement.

    Attributes:
        name: The name of a distribution, normalised.
        extras: The extras that it names.
        versions: The versions that it allows, as it is written; empty if it allows any, or is an address.
        marker: The condition under which it applies; empty if it always does.
    """

    name: str
    extras: tuple[str, ...]
    versions: str = ""
    marker: str = ""


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


def read_requirement(text: str) -> Requirement | None:
    """Return the requirement in *text*, or None if it names no distribution (an option, a path, an address).

    The address of a repository names one by its `#egg=`, or else by its last folder.
    """
    if found := _REPOSITORY.match(text):
        return _installed_from(found[1], found[2] or "", _marker(text[found.end() :]))
    found = _REQUIREMENT.match(text)
    if found is None or text[found.end() : found.end() + 1] in {"/", ":"}:
        return None
    extras = (part.strip() for part in (found[2] or "").split(","))
    rest = text[found.end() :]
    versions = "" if rest.lstrip().startswith("@") else _plain(rest).partition(";")[0].strip()
    return Requirement(normalized_name(found[1]), tuple(filter(None, extras)), versions, _marker(rest))


def _installed_from(folder: str, fragment: str, marker: str) -> Requirement | None:
    egg = next((part[4:] for part in fragment.split("&") if part.startswith("egg=")), "")
    name = egg or folder.partition("@")[0].rstrip("/").rpartition("/")[2].removesuffix(".git")
    requirement = read_requirement(name)
    # Capa's own address stays as it is: no extras can be put into it.
    return (
        requirement._replace(marker=marker) if requirement and requirement.name != CAPA_DISTRIBUTION else None
    )


def _plain(rest: str) -> str:
    return _OPTIONS.sub("", _JOINED_LINES.sub(" ", rest))


def _marker(rest: str) -> str:
    text = _plain(rest)
    # `;` may be part of an address: behind one, a space comes before the marker.
    return text.partition(" ;" if "://" in text else ";")[2].strip()


def missing(texts: Iterable[str], names: Names) -> list[Missing]:
    """Return the extras of Capa that the SDKs among the requirements *texts* lack, for each marker."""
    wanted: dict[str, set[str]] = {"": set()}
    present: set[str] = set()
    for text in texts:
        requirement = read_requirement(text)
        if requirement is None:
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


def capa_requirement(extras: Iterable[str]) -> str:
    """Return the requirement that brings Capa with *extras*."""
    return f"{CAPA_DISTRIBUTION}[{','.join(sorted(set(extras)))}]"


def with_extras(text: str, extras: Iterable[str]) -> str:
    """Return the requirement *text*, which is of Capa, with *extras* added and all else as it was."""
    found = _REQUIREMENT.match(text)
    assert found is not None  # noqa: S101 - callers have read it as a requirement
    listed = read_requirement(text)
    joined = ",".join(sorted({*(listed.extras if listed else ()), *extras}))
    return f"{text[: found.end(1)]}[{joined}]{text[found.end() :]}"
