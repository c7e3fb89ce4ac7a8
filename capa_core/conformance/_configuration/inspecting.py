"""Inspection: list the groups of the engine."""

from __future__ import annotations

import pytest

from capa_core.blocks.configuration import Configuration, ConfigurationFeature, Scope
from capa_core.conformance._configuration.suite import (
    GROUP,
    OTHER_GROUP,
    Driver,
    Suite,
)
from capa_core.errors import UnsupportedError


class InspectingPromises(Suite):
    """The promises of `inspect`."""

    def test_groups_are_listed_with_version_and_count(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.has(driver, ConfigurationFeature.INSPECT)
        self.write(driver, GROUP, {"a": "1", "b": "2"})
        self.write(driver, OTHER_GROUP, {"a": "1"})
        found = {status.scope: status for status in configuration.inspect()}

        assert {GROUP: 2, OTHER_GROUP: 1} == {scope: status.items for scope, status in found.items()}
        assert driver.version(GROUP) == found[GROUP].version
        assert [False, False] == [status.stale for status in found.values()]
        assert all(status.origin for status in found.values())
        assert "2 groups" == configuration.summary()

    def test_documents_and_variants_are_listed(self, driver: Driver, configuration: Configuration) -> None:
        self.has(
            driver,
            ConfigurationFeature.INSPECT,
            ConfigurationFeature.DOCUMENTS,
            ConfigurationFeature.LABELS,
        )
        variant = Scope(group="application", label="blue")
        document = Scope(group="notes.txt")
        self.write_document(driver, document, "text")
        self.write(driver, variant, {"a": "1"})

        assert {document, variant} == {status.scope for status in configuration.inspect()}

    def test_an_empty_application_has_no_groups(self, driver: Driver, configuration: Configuration) -> None:
        self.has(driver, ConfigurationFeature.INSPECT)

        assert [] == list(configuration.inspect())

    def test_listing_is_refused_if_it_is_declared_absent(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.lacks(driver, ConfigurationFeature.INSPECT)

        assert "" == configuration.summary()
        with pytest.raises(UnsupportedError):
            configuration.inspect()
