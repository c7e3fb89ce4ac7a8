"""A source for pydantic-settings: a settings class that reads from Capa.

class Settings(BaseSettings):
    timeout_s: float = 5
    database: Database

    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        return sources["env_settings"], CapaSettingsSource(settings_cls, "application", prefix="shop")
"""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from capa_apollo._fields import fitted
from capa_apollo._sdk import SDK
from capa_apollo.cloud import cloud_config
from capa_core import default_runtime
from capa_core.shims import missing_original

try:
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
except ModuleNotFoundError as error:
    raise missing_original(SDK, error) from error


class CapaSettingsSource(PydanticBaseSettingsSource):
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
        super().__init__(settings_cls)
        self._config = cloud_config(namespace, prefix=prefix, app_id=app_id, cluster=cluster)

    def __call__(self) -> dict[str, Any]:
        """Return the values that the namespace has for the fields; other keys are left out."""
        view = self._config.space(default_runtime()).view(self._config.namespace)
        data = fitted(self._config.data(view), self.settings_cls)
        fields = self.settings_cls.model_fields
        wanted = {field.alias or name for name, field in fields.items()}
        return {key: value for key, value in data.items() if key in wanted} if isinstance(data, dict) else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value for one field, its key, and that it needs no decoding."""
        key = field.alias or field_name
        return self().get(key), key, False


ApolloSettingsSource = CapaSettingsSource
