"""The style of a list of requirements, for a new one: pinned or not, in order or not."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from capa_codemods.manifests.requirement import is_exact, read_requirement

_KEYS = (lambda text: _name(text).lower(), str.lower, str)
"""The orders that people and tools keep: by name, or by the whole line, without or with regard to case."""


def are_pinned(texts: Sequence[str]) -> bool:
    """Return whether each of the requirements *texts* allows one version only; not if all are addresses."""
    found = filter(None, map(read_requirement, texts))
    return all(map(is_exact, texts)) and any(one.versions for one in found)


def sorted_place(texts: Sequence[str], new: str) -> int | None:
    """Return where *new* goes among *texts* so that they stay sorted; None if they are not, or all of one name."""
    for key in _KEYS if len(set(map(_name, texts))) > 1 else ():
        keys = list(map(key, texts))
        if keys == sorted(keys):
            return bisect_right(keys, key(new))
    return None


def _name(text: str) -> str:
    found = read_requirement(text)
    return found.name if found else text
