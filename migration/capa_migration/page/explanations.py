"""What docs/differences says where a reason on the page refers to it, so that the page needs nothing beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = "docs/differences/"
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def explanations(shapes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sections that *shapes* refer to, by name: an id for the page, a title, and blocks of text."""
    found = (_section(see) for see in sorted({shape["see"] for shape in shapes if shape["see"]}))
    return [section for section in found if section is not None]


def _section(see: str) -> dict[str, Any] | None:
    name, _, anchor = see.removeprefix(_FOLDER).partition("#")
    text = _text(name)
    for heading in _HEADING.finditer(text):
        if _anchor(heading[2]) == anchor:
            rest = text[heading.end() :]
            end = next(
                (one.start() for one in _HEADING.finditer(rest) if len(one[1]) <= len(heading[1])), None
            )
            title = f"{name.removesuffix('.md').capitalize()}: {heading[2]}"
            return {"see": see, "title": title, "blocks": list(_blocks(rest[:end]))}
    return None


@cache
def _text(name: str) -> str:
    # Beside the package where it is installed, in the tree where it is worked on.
    package = Path(__file__).parents[1]
    for folder in (package / "differences", package.parents[1] / _FOLDER):
        try:
            return (folder / name).read_text("utf-8")
        except OSError:
            continue
    return ""


def _anchor(title: str) -> str:
    """Return the name by which a page of documentation is linked to at the heading *title*."""
    return _NOT_IN_ANCHORS.sub("", title.lower()).replace(" ", "-")


def _blocks(text: str) -> Iterator[dict[str, Any]]:
    """Yield the paragraphs of *text*: `text`, `code`, or `list` with its items."""
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith(("    ", "|")):
            yield {
                "kind": "code",
                "text": "\n".join(line.removeprefix("    ") for line in block.splitlines()),
            }
        elif block.startswith("- "):
            items = re.split(r"^- ", block, flags=re.MULTILINE)[1:]
            yield {"kind": "list", "items": [" ".join(item.split()) for item in items]}
        elif block.strip():
            yield {"kind": "text", "text": " ".join(block.lstrip("#").split())}
