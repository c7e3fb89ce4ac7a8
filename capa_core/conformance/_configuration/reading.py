"""Reading: items as they were written, with a version that changes with them."""

from __future__ import annotations

import pytest

from capa_core.abilities import How
from capa_core.blocks.configuration import (
    Configuration,
    ConfigurationFeature,
    Scope,
    Snapshot,
)
from capa_core.conformance._configuration.suite import (
    GROUP,
    OTHER_GROUP,
    Driver,
    Suite,
    values,
)
from capa_core.conformance._limits import affordable
from capa_core.errors import (
    InvalidArgumentError,
)


class ReadingPromises(Suite):
    """The promises of items, names and versions."""

    def test_declares_every_ability(self, driver: Driver) -> None:
        assert set(ConfigurationFeature) == set(driver.features)

    def test_every_ability_of_level_0_is_there(self, configuration: Configuration) -> None:
        always = (ConfigurationFeature.WATCH, ConfigurationFeature.LAST_KNOWN_GOOD)

        assert all(configuration.features[feature] for feature in always)

    def test_an_absent_ability_has_a_reason(self, driver: Driver) -> None:
        assert all(how.note for how in driver.features.values() if how.how in (How.ABSENT, How.APPROXIMATE))

    def test_a_scope_that_does_not_exist_is_empty(self, driver: Driver) -> None:
        assert Snapshot({}, "") == driver.get(Scope(group="nowhere"))
        assert "" == driver.version(Scope(group="nowhere"))

    @pytest.mark.parametrize(
        "value", ["1", "", " padded ", "a=b:c#d", "zwei\nZeilen\t\\", "ü 漢 😀", "x" * 50_000]
    )
    def test_a_value_comes_back_as_it_was(self, driver: Driver, value: str) -> None:
        value = value[: affordable(driver.limits.max_value_bytes)]
        self.write(driver, GROUP, {"key": value})

        assert value == driver.get(GROUP).items["key"].value

    @pytest.mark.parametrize(
        "key", ["db.host", "a-b_c", "hosts[0].port", "with space", "a=b", "a:b", "#x", "größe"]
    )
    def test_a_key_comes_back_as_it_was(self, driver: Driver, key: str) -> None:
        self.write(driver, GROUP, {key: "v"})

        assert [key] == list(driver.get(GROUP).items)

    def test_an_item_knows_its_own_key_and_a_version(self, driver: Driver) -> None:
        self.write(driver, GROUP, {"key": "v"})

        item = driver.get(GROUP).items["key"]
        assert "key" == item.key
        assert item.version

    def test_get_may_select_keys(self, driver: Driver, configuration: Configuration) -> None:
        self.write(driver, GROUP, {"a": "1", "b": "2", "c": "3"})

        assert {"a": "1", "c": "3"} == values(configuration.get(["a", "c", "missing"]))

    def test_a_group_of_keys_has_no_content(self, driver: Driver) -> None:
        self.write(driver, GROUP, {"a": "1"})

        assert driver.get(GROUP).content is None

    def test_groups_are_separate(self, driver: Driver) -> None:
        self.write(driver, GROUP, {"a": "1"})
        self.write(driver, OTHER_GROUP, {"a": "2"})

        assert ("1", "2") == (driver.get(GROUP).items["a"].value, driver.get(OTHER_GROUP).items["a"].value)

    def test_applications_are_separate(self, driver: Driver) -> None:
        self.write(driver, Scope("shop"), {"a": "1"})
        self.write(driver, Scope("bank"), {"a": "2"})

        assert "1" == driver.get(Scope("shop")).items["a"].value
        assert "2" == driver.get(Scope("bank")).items["a"].value

    @pytest.mark.parametrize(
        "names", [{"group": ""}, {"group": "x" * 256}, {"label": "\0"}, {"application": "\0"}]
    )
    def test_a_malformed_name_is_refused(self, configuration: Configuration, names: dict[str, str]) -> None:
        with pytest.raises(InvalidArgumentError):
            configuration.get(**names)

    def test_a_version_stays_while_nothing_changes(self, driver: Driver) -> None:
        self.write(driver, GROUP, {"a": "1"})

        assert driver.get(GROUP).version == driver.version(GROUP) == driver.version(GROUP) != ""

    def test_a_change_makes_a_new_version(self, driver: Driver) -> None:
        seen = set()
        for value in range(20):
            self.write(driver, GROUP, {"a": str(value)})
            seen.add(driver.version(GROUP))

        assert 20 == len(seen)

    def test_a_change_of_one_group_leaves_the_version_of_another(self, driver: Driver) -> None:
        self.write(driver, OTHER_GROUP, {"a": "1"})
        before = driver.version(OTHER_GROUP)
        self.write(driver, GROUP, {"a": "2"})

        assert before == driver.version(OTHER_GROUP)
