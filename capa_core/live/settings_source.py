"""A source for pydantic-settings: a settings class that reads from a configuration component.

class Settings(BaseSettings):
    timeout_s: float = 5
    database: Database

    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        return sources["env_settings"], GroupSettingsSource(settings_cls, configured("shop"))
"""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from capa_core.live._configured import Configured
from capa_core.live._fields import fitted


class GroupSettingsSource(PydanticBaseSettingsSource):
    """Fields from one group, as of the moment at which the settings object is made.

    Args:
        values: The group, as `configured` gives it.
    """

    def __init__(self, settings_cls: type[BaseSettings], values: Configured[Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def __call__(self) -> dict[str, Any]:
        """Return the values that the group has for the fields; other keys are left out.

        Raises:
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        data = fitted(self._values.data(), self.settings_cls)
        fields = self.settings_cls.model_fields
        wanted = {field.alias or name for name, field in fields.items()}
        return {key: value for key, value in data.items() if key in wanted} if isinstance(data, dict) else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value for one field, its key, and that it needs no decoding."""
        key = field.alias or field_name
        return self().get(key), key, False
