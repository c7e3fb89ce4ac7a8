"""The part that the drivers of all blocks share: the database, and what is known about its server."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import psycopg

from capa_core.components.postgres._database import Client, Database
from capa_core.components.postgres._errors import name_error
from capa_core.components.postgres._risks import NAMES, UNLOGGED, risks
from capa_core.driver import Driver, Risk, SettingsT
from capa_core.errors import CapaError


class PostgresDriver(Driver[SettingsT]):
    """A driver whose data are in the tables of one block."""

    block: ClassVar[str]

    @property
    @abstractmethod
    def steps(self) -> Sequence[str]:
        """The migrations that make the tables of the block."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self.database = Database(settings, self.block, self.steps)  # type: ignore[arg-type] # the settings of each block are these
        self._client = Client(settings)  # type: ignore[arg-type]

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: one connection for all callers, in autocommit mode, which psycopg makes thread-safe."""
        return {psycopg.Connection: self._client.connection}

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        return self.database.about()

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        unlogged = self.database.run(UNLOGGED, schema=self.database.settings.schema_name)
        return risks(self.database.show(NAMES), [table for (table,) in unlogged])

    def close(self) -> None:
        """See `Driver.close`."""
        self._client.close()
        self.database.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.database.forget()
        self._client.forget()
