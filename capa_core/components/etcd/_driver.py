"""The part that the drivers of all blocks share: the client, its life and its errors."""

from __future__ import annotations

from typing import Any

from capa_core.components.etcd._client import EtcdClient
from capa_core.components.etcd._errors import name_error
from capa_core.driver import Driver, SettingsT
from capa_core.errors import CapaError


class EtcdDriver(Driver[SettingsT]):
    """A driver whose data are keys of one cluster, which acknowledges what is on the disks of a majority."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        given: Any = settings  # those of each block are `EtcdSettings`
        self.client = EtcdClient(given)
        self.prefix = given.prefix.encode()

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        status = self.client.call("/v3/maintenance/status", {})
        return f"etcd {status['version']} at {self.client.place}"

    def close(self) -> None:
        """See `Driver.close`."""
        self.client.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.client.forget()
