"""Patch files of a plan: one for all of it, or one for each part."""

from __future__ import annotations

import os
from collections.abc import Iterator

from capa_migration.cli.output import output_of, write_file
from capa_migration.rewrite.parts import By, parts
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.report import count, diff


def write_patches(plan: Plan, path: str, by: By | None) -> None:
    """Write the changes of *plan* to *path*, or to one file for each part, cut *by* owner or folder.

    Raises:
        OptionsError: A file cannot be written, or there is no CODEOWNERS file.
    """
    written = list(_written(plan, path, by))
    with output_of(f"wrote {', '.join(place for place, _ in written)}; the project is as it was"):
        for place, about in written:
            print(f"{place}: {about}")


def _written(plan: Plan, path: str, by: By | None) -> Iterator[tuple[str, str]]:
    """Write each patch, and yield its path and a line about it."""
    if by is None:
        yield _write(path, path, plan)
        return
    stem, suffix = os.path.splitext(path)
    taken: set[str] = set()
    for part in parts(plan, by):
        slug, number = part.slug, 2
        while slug.lower() in taken:  # two names may differ only in characters that a slug drops
            slug, number = f"{part.slug}-{number}", number + 1
        taken.add(slug.lower())
        yield _write(f"{stem}-{slug}{suffix}", part.name, part.plan)


def _write(path: str, name: str, plan: Plan) -> tuple[str, str]:
    write_file(path, b"".join(diff(plan)))
    return path, f"{f'{name}: ' if name != path else ''}{count(len(plan.of('changed')), 'file')}"
