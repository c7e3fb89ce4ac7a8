"""Conformance of a minimal driver, which measures the compensation by the core."""

from collections.abc import Iterator, Mapping

import pytest
from pydantic import BaseModel

from capa_core.abilities import BY_CORE, absent
from capa_core.blocks.configuration import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    Scope,
    Snapshot,
)
from capa_core.conformance.configuration import ConfigurationConformance


class BareSettings(BaseModel):
    pass


class Bare(ConfigurationDriver[BareSettings]):
    settings_type = BareSettings
    features = {
        ConfigurationFeature.WATCH: BY_CORE,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: absent("its engine is read only"),
        ConfigurationFeature.DELETE: absent("its engine is read only"),
        ConfigurationFeature.LABELS: absent("its engine has no variants"),
        ConfigurationFeature.TAGS: absent("its engine has no tags"),
        ConfigurationFeature.DOCUMENTS: absent("its engine has keys only"),
        ConfigurationFeature.INSPECT: absent("its engine lists nothing"),
        ConfigurationFeature.CONDITIONAL: absent("its engine is read only"),
        ConfigurationFeature.HISTORY: absent("its engine has the present only"),
    }

    def __init__(self) -> None:
        super().__init__(BareSettings())
        self.written: dict[Scope, Snapshot] = {}
        self.writes = 0

    def get(self, scope: Scope) -> Snapshot:
        return self.written.get(scope, Snapshot({}, ""))

    def version(self, scope: Scope) -> str:
        return self.get(scope).version

    def ping(self) -> str:
        return "bare"

    def close(self) -> None:
        pass


class TestBareConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self) -> Iterator[Bare]:
        yield Bare()

    def write(self, driver: Bare, scope: Scope, items: Mapping[str, str]) -> None:
        driver.writes += 1
        version = str(driver.writes)
        new = {key: ConfigurationItem(key, value, version) for key, value in items.items()}
        driver.written[scope] = Snapshot({**driver.get(scope).items, **new}, version)
