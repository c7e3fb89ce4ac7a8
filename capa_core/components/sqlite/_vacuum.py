"""Free pages: return them to the disk when a file has become much larger than its content."""

from __future__ import annotations

import sqlite3


def release_pages(connection: sqlite3.Connection, most: int) -> None:
    """Return up to *most* pages to the disk if more than that, and more than half of the file, are free."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if free > most and free > pages // 2:
        for _ in range(
            most
        ):  # one page at a time: the sqlite3 module steps a statement without columns only once
            connection.execute("PRAGMA incremental_vacuum(1)")
