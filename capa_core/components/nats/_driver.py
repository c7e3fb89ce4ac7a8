"""The part that all drivers of NATS share: the connection, its errors, and its life."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nats.aio.client

from capa_core.components.nats import _risks
from capa_core.components.nats._errors import name_error
from capa_core.components.nats._link import Link
from capa_core.components.nats._settings import NatsSettings
from capa_core.driver import Driver, Risk
from capa_core.errors import CapaError
from capa_core.secret import without_credentials


class NatsDriver(Driver[NatsSettings]):
    """The connection of a driver. A subclass makes in `_open` what belongs to it."""

    def __init__(self, settings: NatsSettings) -> None:
        super().__init__(settings)
        self._open()

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: the client of the connection, which is for the event loop `client.loop`."""
        return {nats.aio.client.Client: self.link.client}

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        self.link.api("INFO")
        connection = self.link.connection()
        return f"NATS {connection.version} at {connection.server}"

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`: those of the server; a driver adds those of its streams."""
        return list(_risks.of_server(self.settings))

    def address(self) -> str:
        """See `Driver.address`."""
        return ", ".join(map(without_credentials, self.settings.servers))

    def close(self) -> None:
        """See `Driver.close`."""
        self.link.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.link.abandon()
        self._open()

    def _open(self) -> None:
        self.link = Link(self.settings)
