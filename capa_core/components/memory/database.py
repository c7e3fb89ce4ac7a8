"""Databases of one process, in its memory: for tests. SQLite keeps the tables."""

from __future__ import annotations

import sqlite3
import uuid

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.database.driver import DatabaseFeature
from capa_core.blocks.database.over_sqlalchemy import PooledSettings
from capa_core.blocks.database.over_sqlite import NativeConnection, OverSqlite


class MemoryDatabaseSettings(PooledSettings):
    """The pools of connections."""


class MemoryDatabase(OverSqlite[MemoryDatabaseSettings]):
    """A database of SQLite in the memory of this process, which `close` frees. A forked child has a copy."""

    settings_type = MemoryDatabaseSettings
    features = {
        **dict.fromkeys(DatabaseFeature, NATIVE),
        DatabaseFeature.CONCURRENT_READS: absent("SQLite in memory has one lock for readers and writers"),
        DatabaseFeature.CONCURRENT_WRITES: absent("SQLite has one writer at a time; the others wait"),
        DatabaseFeature.SHARED: absent("each process has its own memory"),
        DatabaseFeature.DURABLE: absent("memory ends with the process"),
        DatabaseFeature.REPLICA: absent("the memory is of one process"),
    }

    def __init__(self, settings: MemoryDatabaseSettings) -> None:
        super().__init__(settings)
        self._place = f"file:/capa-{uuid.uuid4().hex}?vfs=memdb"
        self._keeper: sqlite3.Connection | None = None

    def opened(self, *, read_only: bool) -> NativeConnection:
        """See `OverSqlite.opened`."""
        del read_only
        if self._keeper is None:  # the tables last as long as a connection is open
            self._keeper = sqlite3.connect(self._place, uri=True, check_same_thread=False)
        return sqlite3.connect(
            self._place,
            uri=True,
            timeout=self.settings.timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=NativeConnection,
        )

    def close(self) -> None:
        """See `Driver.close`."""
        super().close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
