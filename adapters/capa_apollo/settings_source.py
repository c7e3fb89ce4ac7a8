"""A source for pydantic-settings: a settings class that reads from Capa.

class Settings(BaseSettings):
    timeout_s: float = 5
    database: Database

    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        return sources["env_settings"], CapaSettingsSource(settings_cls, "application", prefix="shop")
"""

from __future__ import annotations

from capa_apollo._sdk import SDK
from capa_apollo.cloud import cloud_config
from capa_core.shims import missing_original

try:
    from pydantic_settings import BaseSettings

    from capa_core.live.settings_source import GroupSettingsSource
except ModuleNotFoundError as error:
    raise missing_original(SDK, error) from error


class CapaSettingsSource(GroupSettingsSource):
    """Fields from one namespace, as of the moment at which the settings object is made.

    Args:
        namespace: A set of properties, or a document.
        prefix: Only the keys below this dotted one.
        app_id: Whose namespace; by default that of `[adapters.apollo]`.
        cluster: Which variant; by default that of `[adapters.apollo]`.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        namespace: str = "application",
        *,
        prefix: str = "",
        app_id: str = "",
        cluster: str = "",
    ) -> None:
        super().__init__(settings_cls, cloud_config(namespace, prefix=prefix, app_id=app_id, cluster=cluster))


ApolloSettingsSource = CapaSettingsSource
