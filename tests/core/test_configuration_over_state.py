"""Configuration over state: several writers, foreign values, and names of any length."""

import threading

import pytest

from capa_core.blocks.configuration import Configuration, ConfigurationItem, Scope
from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.blocks.state.driver import Put
from capa_core.components.memory.state import MemoryState
from capa_core.components.sqlite.configuration import SqliteConfiguration
from capa_core.errors import ClosedError, InvalidArgumentError, SettingsError

GROUP = Scope()


class MemoryOverState(ConfigurationOverState):
    settings_type = MemoryState.settings_type
    state_type = MemoryState


def memory(**settings):
    return MemoryOverState(MemoryState.settings_type(**settings))


@pytest.fixture
def driver(tmp_path):
    driver = SqliteConfiguration(SqliteConfiguration.settings_type(folder=tmp_path))
    yield driver
    driver.close()


def item(key, value):
    return [ConfigurationItem(key, value)]


def test_writers_at_the_same_time_lose_nothing(driver):
    def write(name):
        for number in range(20):
            driver.save(GROUP, item(f"{name}{number}", "x"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {f"{name}{number}" for name in "abcd" for number in range(20)} == set(driver.get(GROUP).items)


def test_an_item_keeps_its_version_until_it_is_written(driver):
    driver.save(GROUP, [*item("a", "1"), *item("b", "1")])
    before = driver.get(GROUP)
    driver.save(GROUP, item("a", "2"))
    after = driver.get(GROUP)

    assert before.version != after.version
    assert [True, False] == [before.items[key].version != after.items[key].version for key in "ab"]


def test_a_watch_whose_look_outlives_close_ends_without_an_error(mocker):
    driver = memory()

    def look(_keys):
        driver.close()
        raise ClosedError("the component is closed")

    mocker.patch.object(driver.under, "get_many", look)

    assert {} == driver.watch({GROUP: ""}, 5)


def test_removing_what_is_not_there_changes_nothing(driver):
    version = driver.save(GROUP, item("a", "1"))

    assert version == driver.delete(GROUP, ["b"]) == driver.version(GROUP)


ITEMS = [
    b'{"a": {"value": 1, "version": "1", "tags": {}}}',
    b'{"a": {"value": "1", "version": "1", "tags": {"owner": 1}}}',
    b'{"a": {"value": "1", "version": "1", "tags": [["owner", "x"]]}}',
    b'{"a": {"value": "1", "version": "1", "tags": {}, "at": "now"}}',
    b'{"a": {"value": "1", "version": "1", "tags": {}, "at": 1e300}}',
]


@pytest.mark.parametrize(
    "stored",
    [
        *(b"", b"\xff", b"[]", b"null", b'{"items": 1}', b"[" * 100_000, b'{"group": 3}'),
        *(
            b'{"application": "", "group": "application", "label": "", "content": null, "items": %b}' % items
            for items in ITEMS
        ),
    ],
    ids=repr,
)
def test_a_foreign_value_is_an_error_that_names_its_key_and_stays(driver, stored):
    driver.under.put(Put("group//application/", stored))
    for call in (driver.get, lambda scope: driver.save(scope, item("a", "1"))):
        with pytest.raises(SettingsError, match="'group//application/' is not a group of configuration"):
            call(GROUP)

    assert stored == driver.under.get("group//application/").value


@pytest.mark.parametrize(
    "stored",
    [
        b'[{"version": 1, "changed_at": 1, "values": {}, "content": null}]',
        b'[{"version": "1", "changed_at": "now", "values": {}, "content": null}]',
        b'[{"version": "1", "changed_at": 1e300, "values": {}, "content": null}]',
        b'[{"version": "1", "changed_at": 1, "values": {"a": 1}, "content": null}]',
        b'[{"version": "1", "changed_at": 1, "values": {}, "content": 3}]',
        b"[3]",
    ],
)
def test_foreign_versions_are_none_and_the_group_is_read_and_written(driver, stored):
    driver.save(GROUP, item("a", "1"))
    driver.under.put(Put("past//application/", stored))

    assert ([], "1") == (driver.history(GROUP, 10), driver.get(GROUP).items["a"].value)

    driver.save(GROUP, item("a", "2"))

    assert [{"a": "2"}] == [dict(one.values) for one in driver.history(GROUP, 10)]


def test_names_that_are_too_long_for_a_key_are_kept(driver):
    scope = Scope("ä" * 255, "g/%" * 85, "\n" * 255)
    driver.save(scope, item("a", "1"))

    assert "1" == driver.get(scope).items["a"].value
    assert [scope] == [status.scope for status in driver.inspect()]


def test_a_group_that_is_too_large_for_the_engine_is_refused_whole():
    driver = memory(max_value_bytes=1000)
    driver.save(GROUP, item("a", "1"))
    with pytest.raises(InvalidArgumentError, match="engine stores at most 1,000 as one value"):
        driver.save(GROUP, [ConfigurationItem(f"key{number}", "x" * 100) for number in range(10)])

    assert ["a"] == list(driver.get(GROUP).items)


def test_one_that_has_the_value_in_its_own_hands_is_seen_by_the_others(tmp_path):
    settings = SqliteConfiguration.settings_type(folder=tmp_path)
    seen, came = [], threading.Event()

    def note(event):
        seen.append(event.new.items["a"].value)
        came.set()

    with (
        Configuration(SqliteConfiguration(settings), "one") as one,
        Configuration(SqliteConfiguration(settings), "two") as two,
    ):
        two.watch(note)
        one.save({"a": "1"})
        assert came.wait(30)

    assert ["1"] == seen
