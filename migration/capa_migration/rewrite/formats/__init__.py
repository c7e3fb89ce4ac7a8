"""Output formats of a report.

A format is one module of this folder, and its name is the word after `--format`: a new file is a new format, and
nothing else names it. It is imported only when it is chosen, and holds one function:

    def render(report: Report) -> Iterator[str | bytes]:
        ...

It yields the document in pieces, line ends included. Text is written in the encoding of the stream; bytes, as in a
patch of files in any encoding, are written as they are. It writes nothing itself: `--output FILE` writes the document
as a whole.

`report.survey` and `report.plan` are made when first read; reading both costs a second pass over the tree.
Modules with a leading underscore are shared by formats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_migration.rewrite.report import Report

Render = Callable[["Report"], Iterator[str | bytes]]


def names() -> list[str]:
    """Return the names of all formats, sorted."""
    found = {name.partition(".")[0] for folder in __path__ for name in os.listdir(folder)}
    return sorted(name for name in found if not name.startswith("_"))


def load(name: str) -> Render:
    """Return the render function of the format *name*, one of `names()`."""
    render: Render = import_module(f"{__name__}.{name}").render
    return render
