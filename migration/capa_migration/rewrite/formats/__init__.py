"""Output formats of a report.

A format is one module of this folder, and its name is the word after `--format`: a new file is a new format, and
nothing else names it. It is imported only when it is chosen, and holds one function:

    def render(report: Report) -> Iterator[str | bytes]:
        ...

It yields the document in pieces, line ends included. Text is written in the encoding of the stream; bytes, as in a
patch of files in any encoding, are written as they are. It writes nothing itself: `--output FILE` writes the document
as a whole.

A format with `render_several(report)` can also report on several projects, as `capa scan A B` does.

`report.survey` and `report.plan` are made when first read; reading both costs a second pass over the tree.
Modules with a leading underscore are shared by formats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_migration.rewrite.projects import Several
    from capa_migration.rewrite.report import Report

Render = Callable[["Report"], Iterator[str | bytes]]


RenderSeveral = Callable[["Several"], Iterator[str | bytes]]


def names() -> list[str]:
    """Return the names of all formats, sorted."""
    found = {name.partition(".")[0] for folder in __path__ for name in os.listdir(folder)}
    return sorted(name for name in found if not name.startswith("_"))


def load(name: str) -> Render:
    """Return the render function of the format *name*, one of `names()`."""
    render: Render = import_module(f"{__name__}.{name}").render
    return render


def load_several(name: str) -> RenderSeveral:
    """Return the function of the format *name* for a report on several projects.

    Raises:
        OptionsError: The format has none.
    """
    from capa_migration.errors import OptionsError

    render: RenderSeveral | None = getattr(import_module(f"{__name__}.{name}"), "render_several", None)
    if render is None:
        raise OptionsError(
            f"--format {name} is for one project: scan each of them alone, or use text or json"
        )
    return render
