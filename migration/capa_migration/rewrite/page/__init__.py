"""The report page: one HTML file that needs only a browser and fetches nothing.

This package gathers the contents as plain data and packs them into the file; the scripts in `assets/` draw them. They
put every text into the page as text, never as HTML, so that a path or a line of code cannot act there; a content
security policy with the digests of the page's own scripts keeps anything else from running or being fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_migration.rewrite.plan import Plan
    from capa_migration.rewrite.scan.sites import Survey

LARGEST_BYTES = 1_900_000
"""The limit of a page, so that it can be sent by mail and opens at once; diffs that do not fit are left out."""


def page(path: str, survey: Survey, plan: Plan) -> str:
    """Return the report page about the tree at *path*.

    Args:
        path: As the user gave it, for the commands that the page shows.
        survey: The SDKs and call sites of the tree.
        plan: The plan of its rewrite.
    """
    from capa_migration.rewrite import history
    from capa_migration.rewrite.page.changes import Changes
    from capa_migration.rewrite.page.contents import contents
    from capa_migration.rewrite.page.document import document
    from capa_migration.rewrite.page.packing import packed

    changes = Changes.of(plan)
    data = contents(path, survey, plan, history.read(survey.root), changes)
    report = packed(data)
    room = LARGEST_BYTES - len(report) - len(document(data, "", ""))
    return document(data, report, changes.packed(room))
