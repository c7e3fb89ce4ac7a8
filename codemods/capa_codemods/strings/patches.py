"""Patch targets of a file: the names of an SDK, old or new, that its tests replace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from capa_codemods.read.facts import StringUse
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.python_file import PythonFile
from capa_codemods.sdks.callees import METHODS, PATCHES
from capa_codemods.sdks.names import Names
from capa_codemods.sdks.passed_on import passes_on
from capa_codemods.sdks.word_search import search_for
from capa_codemods.strings.calls import by_usual_name, certain_calls, doubt, takes
from capa_codemods.strings.targets import Aim, is_no_target

_may_patch = search_for([b"patch", *(f".{name}".encode() for name in METHODS)])


class PatchTarget(NamedTuple):
    """One string that certainly gets patched.

    Attributes:
        name: The old dotted name.
        written: The string itself.
    """

    line: int
    name: str
    written: str


def patch_targets(
    file: PythonFile, quoted: Sequence[int], names: Names, old_name: Callable[[str], str]
) -> Iterator[PatchTarget]:
    """Yield the patch targets of *file* among the strings at the offsets *quoted*, which are sorted.

    *old_name* returns the old name for a new one, and any other name as it is.
    """
    if not _may_patch(file.data):
        return
    holders = Holders(file.tree)
    # A string reaches a call through names only where the file has a call that is passed more than a literal.
    followed = certain_calls(holders) if passes_on(file.data) else None
    for string in file.strings(quoted, followed):
        for use in _certain_uses(by_usual_name(string, holders)):
            if not takes(PATCHES, use) or doubt(use, holders):
                continue
            old = use._replace(value=old_name(use.value.replace(":", ".")))
            if not is_no_target(old, Aim.of(old, names), names):
                yield PatchTarget(use.line, old.value, use.value)


def _certain_uses(string: StringUse) -> Iterator[StringUse]:
    """Yield the use of each call that *string* certainly reaches, itself if it is passed to one directly."""
    if not string.reached:
        yield string
    elif not string.other_line:
        yield from (string.at(one) for one in string.reached if one.is_whole)
