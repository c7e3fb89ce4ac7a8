"""Secrets from the settings, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.secrets.driver import SecretsDriver, SecretsFeature


class MemorySecretsSettings(BaseModel):
    """The secrets themselves.

    Attributes:
        secrets: Name → value, or name → field → value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: Mapping[str, str | Mapping[str, str]] = Field(default_factory=dict, repr=False)


class MemorySecrets(SecretsDriver[MemorySecretsSettings]):
    """Secrets in a copy of the settings, which a test may change with `set`."""

    settings_type = MemorySecretsSettings
    features = {
        **dict.fromkeys(SecretsFeature, NATIVE),
        SecretsFeature.VERSIONS: absent("only the current values are kept"),
    }

    def __init__(self, settings: MemorySecretsSettings) -> None:
        super().__init__(settings)
        self._secrets: dict[str, Mapping[str, str]] = {}
        for name, value in settings.secrets.items():
            self.set(name, value)

    def set(self, name: str, value: str | Mapping[str, str]) -> None:
        """Store or replace a secret."""
        self._secrets[name] = {"": value} if isinstance(value, str) else dict(value)

    def get(self, name: str, version: str | None) -> Mapping[str, str] | None:
        """See `SecretsDriver.get`."""
        del version  # declared absent
        return self._secrets.get(name)

    def names(self) -> list[str]:
        """See `SecretsDriver.names`."""
        return list(self._secrets)

    def get_all(self) -> Mapping[str, Mapping[str, str]]:
        """See `SecretsDriver.get_all`."""
        return dict(self._secrets)

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"memory of this process, {len(self._secrets)} secrets"

    def close(self) -> None:
        """See `Driver.close`."""
        self._secrets.clear()
