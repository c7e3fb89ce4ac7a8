"""The pages of docs/differences, cut into sections: the wheel ships them inside this package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from capa_codemods.api import reason_id

_FOLDER = "docs/differences/"
_HEADING = re.compile(r"^(##+) (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


class Section(NamedTuple):
    """One section of one page.

    Attributes:
        id: `<sdk>/<anchor>`.
        title: `<Sdk>: <heading>`.
        text: Markdown, up to the next heading of the same or a higher level.
    """

    id: str
    title: str
    text: str


def section_of(link: str) -> Section | None:
    """Return the section that *link* leads to, or `None` if there is none."""
    return _by_id().get(reason_id(link))


def sections() -> Iterator[Section]:
    """Yield the sections of all pages, page by page."""
    yield from _by_id().values()


@cache
def _by_id() -> dict[str, Section]:
    return {section.id: section for page in sorted(_folder().glob("*.md")) for section in _cut(page)}


def _folder() -> Path:
    package = Path(__file__).parents[2]
    shipped = package / "differences"
    return shipped if shipped.is_dir() else package.parents[1] / _FOLDER


def _cut(page: Path) -> Iterator[Section]:
    text = page.read_text("utf-8")
    headings = list(_HEADING.finditer(text))
    for number, heading in enumerate(headings):
        following = (one for one in headings[number + 1 :] if len(one[1]) <= len(heading[1]))
        end = next((one.start() for one in following), len(text))
        title = f"{page.stem.capitalize()}: {heading[2]}"
        yield Section(f"{page.stem}/{_anchor(heading[2])}", title, text[heading.end() : end].strip("\n"))


def _anchor(title: str) -> str:
    """Return the anchor that a renderer of Markdown gives to the heading *title*."""
    return _NOT_IN_ANCHORS.sub("", title.lower()).replace(" ", "-")
