"""Writing: atomic, limited to the named items, and refused if declared absent."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from capa_core.abilities import How
from capa_core.blocks.configuration import (
    Configuration,
    ConfigurationFeature,
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
    ConflictError,
    InvalidArgumentError,
    UnsupportedError,
)


class WritingPromises(Suite):
    """The promises of saving and deleting."""

    def test_save_leaves_the_other_items(self, driver: Driver, configuration: Configuration) -> None:
        self.has(driver, ConfigurationFeature.SAVE)
        configuration.save({"a": "1", "b": "1"})
        configuration.save({"b": "2", "c": "2"})

        assert {"a": "1", "b": "2", "c": "2"} == values(configuration.get())

    def test_save_returns_the_new_version(self, driver: Driver, configuration: Configuration) -> None:
        self.has(driver, ConfigurationFeature.SAVE)

        assert configuration.save({"a": "1"}) == driver.version(GROUP)

    def test_many_savers_lose_nothing(self, driver: Driver, configuration: Configuration) -> None:
        self.has(driver, ConfigurationFeature.SAVE)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: configuration.save({f"k{n}": str(n)}), range(40)))

        assert {f"k{n}": str(n) for n in range(40)} == values(configuration.get())

    def test_a_reader_never_sees_half_of_a_save(self, driver: Driver) -> None:
        self.has(driver, ConfigurationFeature.SAVE)

        def save_often() -> None:
            for number in range(self.saves):
                self.write(driver, GROUP, dict.fromkeys(("a", "b"), str(number % 10) * 3000))

        save_often()
        torn = []
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(save_often)
            while not writing.done():
                items = driver.get(GROUP).items
                torn += [items] if items["a"].value != items["b"].value else []

        assert [] == torn

    def test_save_is_refused_if_declared_absent(self, driver: Driver, configuration: Configuration) -> None:
        self.lacks(driver, ConfigurationFeature.SAVE)
        with pytest.raises(UnsupportedError):
            configuration.save({"a": "1"})

    def test_delete_removes_the_named_items_and_ignores_missing_ones(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.has(driver, ConfigurationFeature.DELETE)
        self.write(driver, GROUP, {"a": "1", "b": "2", "c": "3"})
        version = configuration.delete(["a", "c", "missing"])

        assert {"b": "2"} == values(configuration.get())
        assert version == driver.version(GROUP)

    def test_delete_in_a_scope_that_does_not_exist_does_nothing(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.has(driver, ConfigurationFeature.DELETE)

        assert "" == configuration.delete(["a"], group="nowhere")

    def test_delete_is_refused_if_declared_absent(self, driver: Driver, configuration: Configuration) -> None:
        self.lacks(driver, ConfigurationFeature.DELETE)
        with pytest.raises(UnsupportedError):
            configuration.delete(["a"])

    @pytest.mark.parametrize("bad", [{"": "x"}, {"a": 1}])
    def test_an_item_without_key_or_text_is_refused(
        self, driver: Driver, configuration: Configuration, bad: dict[str, str]
    ) -> None:
        self.has(driver, ConfigurationFeature.SAVE)
        with pytest.raises(InvalidArgumentError):
            configuration.save(bad)

    def test_an_edit_is_made_in_one_step(self, driver: Driver, configuration: Configuration) -> None:
        """Items are written and keys removed; the version is the new one."""
        self.has(
            driver, ConfigurationFeature.SAVE, ConfigurationFeature.DELETE, ConfigurationFeature.CONDITIONAL
        )
        configuration.save({"a": "1", "b": "1", "c": "1"})
        before = configuration.snapshot()
        version = configuration.edit({"b": "2"}, gone=["c", "missing"], if_version=before.version)

        assert {"a": "1", "b": "2"} == values(configuration.get())
        assert before.version != version == configuration.snapshot().version

    def test_an_edit_of_a_group_that_has_changed_is_refused(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        """Nothing is written, neither over a change nor over a group that has come into being; else it is made."""
        self.has(driver, ConfigurationFeature.SAVE, ConfigurationFeature.CONDITIONAL)
        missing = configuration.snapshot().version
        configuration.save({"a": "1"})
        before = configuration.snapshot().version
        configuration.save({"a": "2"})
        for version in (missing, before):
            with pytest.raises(ConflictError, match="was changed meanwhile"):
                configuration.edit({"a": "3"}, if_version=version)

        assert "" == missing
        assert {"a": "2"} == values(configuration.get())

    def test_an_edit_makes_a_group(self, driver: Driver, configuration: Configuration) -> None:
        """One that is not there has the version of nothing."""
        self.has(driver, ConfigurationFeature.SAVE, ConfigurationFeature.CONDITIONAL)
        configuration.edit({"a": "1"}, if_version="")

        assert {"a": "1"} == values(configuration.get())

    def test_a_document_is_replaced_unless_it_has_changed(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        """As a whole."""
        self.has(
            driver,
            ConfigurationFeature.SAVE,
            ConfigurationFeature.DOCUMENTS,
            ConfigurationFeature.CONDITIONAL,
        )
        configuration.save_document(TEXT, group=DOCUMENT.group)
        version = configuration.snapshot(DOCUMENT.group).version
        configuration.edit(content='{"a": 1}', if_version=version, group=DOCUMENT.group)
        with pytest.raises(ConflictError):
            configuration.edit(content='{"a": 2}', if_version=version, group=DOCUMENT.group)

        assert '{"a": 1}' == configuration.snapshot(DOCUMENT.group).content

    def test_edits_at_the_same_time_lose_nothing(self, driver: Driver, configuration: Configuration) -> None:
        """Each is made for what the others have left; engines that only compare beforehand may lose some."""
        self.has(driver, ConfigurationFeature.SAVE, ConfigurationFeature.CONDITIONAL)
        if driver.features[ConfigurationFeature.CONDITIONAL].how is How.APPROXIMATE:
            pytest.skip(driver.features[ConfigurationFeature.CONDITIONAL].note)

        def count(_: int) -> None:
            while True:
                now = configuration.snapshot()
                number = int(now.items["n"].value) if "n" in now.items else 0
                with suppress(ConflictError):
                    configuration.edit({"n": str(number + 1)}, if_version=now.version)
                    return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(12)))

        assert {"n": "12"} == values(configuration.get())

    def test_an_absent_condition_is_refused(self, driver: Driver, configuration: Configuration) -> None:
        self.lacks(driver, ConfigurationFeature.CONDITIONAL)

        with pytest.raises(UnsupportedError):
            configuration.edit({"a": "1"}, if_version="")

    def test_earlier_versions_can_be_read(self, driver: Driver, configuration: Configuration) -> None:
        """The newest first; each has all values of its moment, and its time."""
        self.has(driver, ConfigurationFeature.SAVE, ConfigurationFeature.DELETE, ConfigurationFeature.HISTORY)
        before = time.time()
        configuration.save({"a": "1", "b": "1"})
        configuration.save({"a": "2"})
        configuration.delete(["b"])
        found = configuration.history()

        assert [{"a": "2"}, {"a": "2", "b": "1"}, {"a": "1", "b": "1"}] == [one.values for one in found]
        assert 3 == len({one.version for one in found})
        assert all(before - 2 <= one.changed_at <= time.time() + 2 for one in found)
        assert found[:1] == configuration.history(most=1)
        assert [] == configuration.history("never-written")

    def test_an_absent_history_is_refused(self, driver: Driver, configuration: Configuration) -> None:
        self.lacks(driver, ConfigurationFeature.HISTORY)

        with pytest.raises(UnsupportedError, match="history"):
            configuration.history()
