"""Labels, tags and documents, as far as the driver declares them."""

from __future__ import annotations

import pytest

from capa_core.blocks.configuration import (
    Configuration,
    ConfigurationFeature,
    ConfigurationItem,
    Scope,
)
from capa_core.conformance._configuration.suite import (
    DOCUMENT,
    GROUP,
    TEXT,
    Driver,
    Suite,
    values,
)
from capa_core.errors import (
    InvalidArgumentError,
    SettingsError,
    UnsupportedError,
)


class VariantsPromises(Suite):
    """The promises of labels, tags and documents."""

    def test_a_missing_label_falls_back_if_labels_are_declared(self, driver: Driver) -> None:
        self.write(driver, GROUP, {"a": "1"})

        expected = {"a": "1"} if driver.features[ConfigurationFeature.LABELS] else {}
        assert expected == values(driver.get(Scope(label="prod")).items)

    def test_a_label_of_its_own_hides_the_unlabelled(self, driver: Driver) -> None:
        self.has(driver, ConfigurationFeature.LABELS)
        self.write(driver, GROUP, {"a": "1", "b": "1"})
        self.write(driver, Scope(label="prod"), {"a": "2"})

        assert {"a": "2"} == values(driver.get(Scope(label="prod")).items)
        assert {"a": "1", "b": "1"} == values(driver.get(GROUP).items)

    def test_a_new_label_changes_the_version(self, driver: Driver) -> None:
        self.has(driver, ConfigurationFeature.LABELS)
        self.write(driver, GROUP, {"a": "1"})
        before = driver.version(Scope(label="prod"))
        self.write(driver, Scope(label="prod"), {"a": "2"})

        assert before != driver.version(Scope(label="prod"))
        assert before == driver.version(GROUP)

    def test_tags_come_back_or_are_refused(self, driver: Driver, configuration: Configuration) -> None:
        item = ConfigurationItem("a", "1", tags={"owner": "ops"})
        if not (driver.features[ConfigurationFeature.TAGS] and driver.features[ConfigurationFeature.SAVE]):
            with pytest.raises(UnsupportedError):
                configuration.save([item])
            return
        configuration.save([item])

        assert {"owner": "ops"} == configuration.get()["a"].tags

    def test_a_document_keeps_its_text_and_has_its_values(self, driver: Driver) -> None:
        self.has(driver, ConfigurationFeature.DOCUMENTS)
        self.write_document(driver, DOCUMENT, TEXT)

        snapshot = driver.get(DOCUMENT)
        expected = {"name": "ü", "limits.max": "3", "hosts[0]": "a", "hosts[1].port": "1"}
        assert TEXT == snapshot.content
        assert expected == values(snapshot.items)

    def test_a_text_document_is_unchanged_and_has_no_values(self, driver: Driver) -> None:
        self.has(driver, ConfigurationFeature.DOCUMENTS)
        self.write_document(driver, Scope(group="notice.txt"), "a = b\n\n c")

        snapshot = driver.get(Scope(group="notice.txt"))
        assert ("a = b\n\n c", {}) == (snapshot.content, dict(snapshot.items))

    def test_a_malformed_document_is_not_saved(self, driver: Driver, configuration: Configuration) -> None:
        self.has(driver, ConfigurationFeature.DOCUMENTS, ConfigurationFeature.SAVE)
        configuration.save_document(TEXT, group="testjson.json")
        with pytest.raises(SettingsError):
            configuration.save_document("{", group="testjson.json")

        assert TEXT == driver.get(DOCUMENT).content

    def test_a_document_needs_a_suffix_or_the_ability(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        able = driver.features[ConfigurationFeature.DOCUMENTS] and driver.features[ConfigurationFeature.SAVE]
        with pytest.raises(InvalidArgumentError if able else UnsupportedError):
            configuration.save_document("x", group="no-suffix")
