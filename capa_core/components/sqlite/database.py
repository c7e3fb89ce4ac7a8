"""Databases in SQLite files: durable, shared by all processes of one machine, without a server."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.database.driver import DatabaseFeature
from capa_core.blocks.database.over_sqlalchemy import PooledSettings
from capa_core.blocks.database.over_sqlite import NativeConnection, OverSqlite
from capa_core.components.sqlite._errors import name_error
from capa_core.errors import CapaError
from capa_core.folders import check_makeable, open_private, own


class SqliteDatabaseSettings(PooledSettings):
    """The place of the file, and the pools of connections to it.

    Attributes:
        folder: Holds `database/<name>.db`; on a local disk, relative to capa.toml. The runtime's `.capa` folder by
            default.
    """

    folder: Path = Path(".capa")


class SqliteDatabase(OverSqlite[SqliteDatabaseSettings]):
    """A database in a file of its own for each name, which its first connection makes."""

    settings_type = SqliteDatabaseSettings
    features = {
        **dict.fromkeys(DatabaseFeature, NATIVE),
        DatabaseFeature.CONCURRENT_WRITES: absent("SQLite has one writer at a time; the others wait"),
        DatabaseFeature.REPLICA: absent("the file is on one machine"),
    }

    @property
    def path(self) -> Path:
        """The file."""
        return self.settings.folder / "database" / f"{quote(self.settings.service, safe='')}.db"

    def address(self) -> str:
        """See `Driver.address`."""
        return str(self.path.parent)

    def place_of(self, *, read_only: bool) -> str:
        """See `SqlDatabase.place_of`."""
        del read_only
        return str(self.path)

    def ping(self) -> str:
        """See `Driver.ping`: a look makes no file."""
        if self.path.exists():
            return super().ping()
        check_makeable(self.path)
        return f"SQLite {sqlite3.sqlite_version} at {self.path}"

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`: of the folder; errors of the engines are Capa's already."""
        return name_error(error)

    def opened(self, *, read_only: bool) -> NativeConnection:
        """See `OverSqlite.opened`."""
        del read_only
        if not self.path.exists():
            check_makeable(self.path)
            own(self.settings.folder, "database")
            open(self.path, "ab", opener=open_private).close()
        return self._prepared(
            sqlite3.connect(
                self.path,
                timeout=self.settings.timeout_s,
                isolation_level=None,
                check_same_thread=False,
                factory=NativeConnection,
            )
        )

    def _prepared(self, connection: NativeConnection) -> NativeConnection:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = FULL")
            # On macOS a plain fsync leaves the data in the disk's cache.
            connection.execute("PRAGMA fullfsync = 1")
        except BaseException:
            connection.close()
            raise
        return connection

    def named_natively(self, error: BaseException) -> type[CapaError] | None:
        """See `SqlDatabase.named_natively`."""
        named = super().named_natively(error)
        return name_error(error) if named is None and isinstance(error, Exception) else named
