"""The `[adapters.kombu]` table of capa.toml."""

from __future__ import annotations

from pydantic import Field

from capa_core.shims.settings import AdapterSettings


class KombuSettings(AdapterSettings):
    """Settings of connections on Capa; none of them changes the meaning of an application's code.

    With the `side` `legacy`, kombu's own transports serve the connections, at the addresses in the code.

    Attributes:
        lease_s: Seconds after which the messages of a killed consumer come back. A message that a channel holds keeps
            its lease for as long as the channel is open.
    """

    lease_s: float = Field(default=30.0, ge=1, le=43_200)
