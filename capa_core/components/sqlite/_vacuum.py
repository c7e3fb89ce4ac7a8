"""Free pages: return them to the disk when a file has become much larger than its content."""

from __future__ import annotations

import sqlite3


def release_pages(connection: sqlite3.Connection, most: int) -> bool:
    """Return up to *most* pages to the disk if more than that, and more than three quarters of the file, are free.

    Returns whether there are still as many. With more free pages than others, few of those at the end of the file have
    to be moved to its front first: a queue that is being drained would pay for each of its pages.
    """
    if not _has_surplus(connection, most):
        return False
    for _ in range(most):  # one at a time: the sqlite3 module steps a statement without columns only once
        connection.execute("PRAGMA incremental_vacuum(1)")
    return _has_surplus(connection, most)


def _has_surplus(connection: sqlite3.Connection, most: int) -> bool:
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return bool(free > most and free > pages // 4 * 3)
