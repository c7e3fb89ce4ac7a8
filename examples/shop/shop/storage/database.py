"""Connections. A connection lives for one block: cheap with SQLite, and safe in every thread."""

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

BUSY_TIMEOUT_S = 30


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(str(path), timeout=BUSY_TIMEOUT_S, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def read(path: Path) -> Iterator[sqlite3.Connection]:
    connection = _connect(path)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def write(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection inside a transaction, which an exception rolls back."""
    connection = _connect(path)
    try:
        # IMMEDIATE: taking the write lock late can fail where waiting for it early cannot.
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    finally:
        connection.close()
