"""The part that the drivers of all blocks share: the file of the block, and its settings."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from capa_core.components.sqlite._database import Database
from capa_core.components.sqlite._errors import name_error
from capa_core.driver import Driver, SettingsT
from capa_core.errors import CapaError


class SqliteSettings(BaseModel):
    """The place of the file.

    Attributes:
        folder: Holds `<block>.db`; on a local disk, relative to capa.toml. The runtime's `.capa` folder by default.
        timeout_s: Seconds for which a call waits for the writes of other processes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Path(".capa")
    timeout_s: float = Field(default=5.0, gt=0)


class SqliteDriver(Driver[SettingsT]):
    """A driver whose data are in one file, `<folder>/<block>.db`."""

    block: ClassVar[str]
    probe: ClassVar[str]
    """A query that fails where the file is not the block's."""

    @property
    @abstractmethod
    def steps(self) -> Sequence[str]:
        """The statements that make the tables of the file, version by version."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self.database = self.open_file()

    def open_file(self, *, durable: bool = True) -> Database:
        """Return the file, for writes that are on the disk when they return; for others if not *durable*."""
        settings: Any = self.settings  # those of each block are `SqliteSettings`
        path = settings.folder / f"{self.block}.db"
        return Database(path, *self.steps, timeout_s=settings.timeout_s, durable=durable)

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: one connection for all callers, in autocommit mode; see `Database.native`."""
        return {sqlite3.Connection: self.database.native}

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        self.database.read(lambda connection: connection.execute(self.probe).fetchone())
        return f"SQLite {sqlite3.sqlite_version} at {self.database.path}"

    def close(self) -> None:
        """See `Driver.close`."""
        self.database.close()
