"""Requirements as pip and the packaging standards write them: enough of them to name one and its extras."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from capa_codemods.names import CAPA, Names, normalized

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?")


class Requirement(NamedTuple):
    """The name of a distribution, normalised, and the extras that are asked for."""

    name: str
    extras: tuple[str, ...]


def read_requirement(text: str) -> Requirement | None:
    """Return what *text* requires, or None if it names no distribution (an option, a path, an address)."""
    found = _REQUIREMENT.match(text)
    if found is None or text[found.end() : found.end() + 1] in {"/", ":"}:
        return None
    extras = (part.strip() for part in (found[2] or "").split(","))
    return Requirement(normalized(found[1]), tuple(extra for extra in extras if extra))


def missing_extras(texts: Iterable[str], names: Names) -> tuple[str, ...]:
    """Return the extras of Capa that the SDKs among the requirements *texts* need and that are not there yet."""
    wanted: list[str] = []
    present: set[str] = set()
    for text in texts:
        requirement = read_requirement(text)
        if requirement is None:
            continue
        if requirement.name == CAPA:
            present.update(requirement.extras)
        elif owner := names.required(requirement.name):
            wanted.append(owner.extra)
    if "all" in present:
        return ()
    return tuple(sorted(set(wanted) - present))


def capa_requirement(extras: Iterable[str]) -> str:
    """Return the requirement that brings Capa with *extras*."""
    return f"{CAPA}[{','.join(sorted(set(extras)))}]"


def with_extras(text: str, extras: Iterable[str]) -> str:
    """Return the requirement *text*, which is of Capa, with *extras* added and all else as it was."""
    found = _REQUIREMENT.match(text)
    assert found is not None  # noqa: S101 - callers have read it as a requirement
    listed = read_requirement(text)
    joined = ",".join(sorted({*(listed.extras if listed else ()), *extras}))
    return f"{text[: found.end(1)]}[{joined}]{text[found.end() :]}"
