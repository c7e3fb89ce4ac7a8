"""Explanations inside the page: the sections of docs/differences that its reasons refer to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from capa_migration.rewrite.explain.pages import section_of


def explanations(shapes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sections that *shapes* refer to, by name: an id for the page, a title, and blocks of text."""
    found = {see: section_of(see) for see in sorted({shape["see"] for shape in shapes if shape["see"]})}
    return [
        {"see": see, "title": section.title, "blocks": list(_blocks(section.text))}
        for see, section in found.items()
        if section is not None
    ]


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
