"""Writing: atomic, limited to the named items, and refused if declared absent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from capa_core.blocks.configuration import (
    Configuration,
    ConfigurationFeature,
)
from capa_core.conformance._configuration.suite import (
    GROUP,
    Driver,
    Suite,
    values,
)
from capa_core.errors import (
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
            for number in range(100):
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
