"""The part that the drivers of all blocks share: the clients, and the meaning of AWS's errors."""

from __future__ import annotations

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import name_error
from capa_core.driver import Driver, SettingsT
from capa_core.errors import CapaError


class AwsDriver(Driver[SettingsT]):
    """A driver with clients of its own."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self._open()

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def address(self) -> str:
        """See `Driver.address`: the endpoint of the settings, else the region."""
        region = getattr(self.settings, "region", None) or "the region of the environment"
        return getattr(self.settings, "endpoint_url", None) or f"AWS in {region}"

    def close(self) -> None:
        """See `Driver.close`."""
        self.connections.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._open()

    def _open(self) -> None:
        self.connections = Clients(self.settings)  # type: ignore[arg-type] # the settings of each block are these
