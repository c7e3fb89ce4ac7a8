"""The part that the drivers of all blocks share: the client, and what it knows about the servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from capa_core.components.redis._connect import connect
from capa_core.components.redis._errors import name_error
from capa_core.components.redis._risks import risks
from capa_core.driver import Driver, Risk, SettingsT
from capa_core.errors import CapaError
from capa_core.secret import Secret


class RedisDriver(Driver[SettingsT]):
    """A driver whose data are keys with one prefix."""

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self.client = connect(settings)  # type: ignore[arg-type] # the settings of each block are these

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: the component's own, which returns bytes. Safe for many threads and across a fork."""
        return self.client.natives()

    def legacy_address(self) -> Secret:
        """See `Driver.legacy_address`: of one server."""
        settings: Any = self.settings
        if settings.cluster or settings.sentinels or "path" in settings.options():
            return super().legacy_address()
        return Secret(settings.url)

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        return self.client.about()

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return risks(self.client)

    def close(self) -> None:
        """See `Driver.close`."""
        self.client.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.client.forget()
