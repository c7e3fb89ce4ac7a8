"""The settings of this adapter, in `[adapters.apollo]` of capa.toml."""

from __future__ import annotations

from capa_core.shims.settings import AdapterSettings


class ApolloSettings(AdapterSettings):
    """Settings of decorators and `Config`, which are given no client.

    Attributes:
        app_id: The appId; `""` reads namespaces that belong to no application.
        cluster: The cluster; a namespace that it has not comes from `default`.
        component: The logical name of the configuration component.
    """

    app_id: str = ""
    cluster: str = "default"
    component: str = "default"
