"""Requirements as pip and the packaging standards write them: enough of them to name one, its extras and its marker."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from capa_codemods.sdks.names import CAPA_DISTRIBUTION, normalized_name

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?")
_JOINED_LINES = re.compile(r"\\(?:\r\n|\r|\n)")
# The address of a repository, as only pip's files have it.
_REPOSITORY = re.compile(
    r"\s*(?:(?:-e|--editable)[\s=]\s*)?(?:git|hg|svn|bzr)\+[a-z+]+://[^/\s]*(/[^\s#]*)(?:#(\S*))?"
)
_EXACT = re.compile(r"={2,3}[^,*|]+")
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


def is_exact(text: str) -> bool:
    """Return whether the requirement *text* allows one version only: `==2.32.3`, or an address."""
    found = read_requirement(text)
    return found is not None and (_EXACT.fullmatch(found.versions) is not None or "://" in text)


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
