"""Conformance of a minimal driver, which measures the compensation by the core."""

from collections.abc import Mapping

import pytest

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.secrets import SecretsDriver, SecretsFeature
from capa_core.components.memory.secrets import MemorySecretsSettings
from capa_core.conformance.secrets import SecretsConformance, Stock


class BareSecrets(SecretsDriver[MemorySecretsSettings]):
    settings_type = MemorySecretsSettings
    features = {
        SecretsFeature.GET: NATIVE,
        SecretsFeature.BULK: BY_CORE,
        SecretsFeature.FIELDS: absent("left out for the test"),
        SecretsFeature.VERSIONS: absent("left out for the test"),
    }

    def __init__(self) -> None:
        super().__init__(MemorySecretsSettings())
        self.values: dict[str, str] = {}

    def get(self, name: str, version: str | None) -> Mapping[str, str] | None:
        return {"": self.values[name]} if name in self.values else None

    def names(self) -> list[str]:
        return list(self.values)

    def ping(self) -> str:
        return "bare"

    def close(self) -> None:
        pass


class TestBareSecrets(SecretsConformance):
    @pytest.fixture
    def stock(self) -> Stock:
        driver = BareSecrets()

        def stock(secrets):
            driver.values = dict(secrets)
            return driver

        return stock
