"""The configuration block over its driver: stale views, last known good values, followers, closing and forks."""

import json
import threading
import time

import pytest
import structlog

from capa_core.abilities import BY_CORE
from capa_core.blocks.configuration import Configuration, ConfigurationFeature, ConfigurationItem, Scope
from capa_core.call import Policy
from capa_core.components.memory.configuration import MemoryConfiguration, MemoryConfigurationSettings
from capa_core.conformance._processes import Child
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import UnavailableError


class RemoteConfiguration(MemoryConfiguration):
    """A memory driver that can be disconnected, and whose last known good values the core keeps."""

    features = {**MemoryConfiguration.features, ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE}

    def __init__(self):
        super().__init__(MemoryConfigurationSettings())
        self.is_down = self.watch_is_down = False

    def get(self, scope):
        if self.is_down:
            raise UnavailableError("disconnected")
        return super().get(scope)

    def watch(self, known, timeout_s):
        if self.is_down or self.watch_is_down:
            raise UnavailableError("disconnected")
        return super().watch(known, timeout_s)

    def put(self, **items):
        self.save(Scope(), [ConfigurationItem(key, value) for key, value in items.items()])


@pytest.fixture
def driver():
    return RemoteConfiguration()


@pytest.fixture
def configuration(driver, tmp_path):
    with Configuration(driver, "test", Policy(retries=0), folder=tmp_path, poll_s=0.05) as portable:
        yield portable


def test_a_view_that_loses_its_engine_is_stale_and_serves_on(driver, configuration):
    driver.put(a="1")
    view = configuration.view()
    driver.is_down = True
    driver.wake()
    wait_until(lambda: view.stale)

    assert {"a": "1"} == dict(view)


def test_going_stale_and_recovering_are_each_logged_once(driver, configuration):
    with structlog.testing.capture_logs() as logs:
        view = configuration.view()
        driver.is_down = True
        driver.wake()
        wait_until(lambda: view.stale)
        time.sleep(0.3)
        driver.is_down = False
        wait_until(lambda: not view.stale)

    assert ["warning", "info"] == [entry["log_level"] for entry in logs]


def test_an_engine_that_refuses_to_watch_is_polled_and_told_once(driver, configuration):
    driver.put(a="1")
    driver.watch_is_down = True
    with structlog.testing.capture_logs() as logs:
        view = configuration.view()
        wait_until(lambda: view.stale)
        wait_until(lambda: not view.stale)
        for value in ("2", "3"):
            driver.put(a=value)
            wait_until(lambda value=value: view["a"] == value)
        time.sleep(0.5)

    assert ["warning", "info"] == [log["log_level"] for log in logs]
    assert not view.stale


def test_get_falls_back_to_a_view_while_the_engine_is_down(driver, tmp_path):
    with Configuration(driver, "test", Policy(retries=0), poll_s=0.05) as configuration:
        driver.put(a="1")
        configuration.view()
        driver.is_down = True

        assert "1" == configuration.get()["a"].value


def test_last_known_good_values_are_for_this_user_alone(driver, configuration, tmp_path):
    driver.put(password="s3cret")
    configuration.view()

    kept = list(tmp_path.rglob("*.json"))
    assert [0o600] == [path.stat().st_mode & 0o777 for path in kept]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"scope": 1}', "\udcff"])
def test_damaged_last_known_good_values_are_ignored(driver, configuration, tmp_path, damage):
    driver.put(a="1")
    configuration.view()
    for path in tmp_path.rglob("*.json"):
        path.write_bytes(damage.encode("utf-8", "surrogateescape"))
    driver.is_down = True
    with (
        Configuration(driver, "test", Policy(retries=0), folder=tmp_path) as later,
        pytest.raises(UnavailableError),
    ):
        later.view()


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ('"1"', "1"),
        ('"a"', "null"),
        ("{}", "3"),
        ("{}", '{"owner": 1}'),
        ('"items": [[', '"items": [[], ['),
        ('"items": [', '"items": [null, '),
        ('"content": null', '"content": 7'),
        ('"version": "1"', '"version": null'),
    ],
)
def test_last_known_good_values_of_other_types_are_ignored(driver, configuration, tmp_path, part, damage):
    driver.put(a="1")
    configuration.view()
    (kept,) = tmp_path.rglob("*.json")
    assert part in kept.read_text()
    kept.write_text(kept.read_text().replace(part, damage))
    driver.is_down = True
    with (
        Configuration(driver, "test", Policy(retries=0), folder=tmp_path) as later,
        pytest.raises(UnavailableError),
    ):
        later.view()


def test_a_full_disk_does_not_keep_values_from_being_served(driver, tmp_path):
    tmp_path.joinpath("configuration").write_text("a file where a folder should be")
    driver.put(a="1")
    with (
        structlog.testing.capture_logs() as logs,
        Configuration(driver, "test", folder=tmp_path) as configuration,
    ):
        assert "1" == configuration.view()["a"]

    assert ["the last known good values cannot be stored"] == [entry["event"] for entry in logs]


def test_similar_names_of_scopes_are_distinct(driver, tmp_path):
    configuration = Configuration(driver, "test", folder=tmp_path)
    for group in ("a/b", "a_b", "A_B"):
        configuration.save({"group": group}, group=group)
        configuration.get(group=group)

    kept = {json.loads(path.read_text())["scope"]["group"] for path in tmp_path.rglob("*.json")}
    assert {"a/b", "a_b", "A_B"} == kept


def test_a_follower_runs_at_once_and_before_any_listener(driver, configuration):
    order = []
    configuration.watch(lambda event: order.append(("listener", event.new.items["a"].value)))
    configuration.follow(lambda view: order.append(("follower", view.get("a"))))
    configuration.save({"a": "1"})
    wait_until(lambda: len(order) == 3)

    assert [("follower", None), ("follower", "1"), ("listener", "1")] == order


def test_an_ended_follower_is_not_called_again(driver, configuration):
    sizes = []
    end = configuration.follow(lambda view: sizes.append(len(view)))
    configuration.save({"a": "1"})
    end()
    configuration.save({"b": "1"})

    assert [0, 1] == sizes


def test_a_follower_that_fails_is_logged_and_the_change_goes_on(driver, configuration):
    def fail(view):
        if view:
            raise ValueError("no number")

    configuration.follow(fail)
    with structlog.testing.capture_logs() as logs:
        configuration.save({"a": "1"})

    assert "1" == configuration.view()["a"]
    assert ["no number"] == [entry["error"] for entry in logs]


def test_a_listener_may_close_its_own_subscription(driver, configuration):
    heard = []

    def once(event):
        heard.append(event)
        subscription.close()

    subscription = configuration.watch(once)
    for value in "123":
        configuration.save({"a": value})
    wait_until(lambda: heard)
    time.sleep(0.1)

    assert 1 == len(heard)


def test_a_slow_listener_does_not_keep_values_from_being_refreshed(driver, configuration):
    go_on = threading.Event()
    view = configuration.view()
    configuration.watch(lambda event: go_on.wait(8))
    driver.put(a="1")
    wait_until(lambda: view.get("a") == "1")
    driver.put(a="2")
    wait_until(lambda: view.get("a") == "2")
    go_on.set()


def test_close_delivers_pending_events(driver, configuration):
    heard = []
    configuration.watch(lambda event: time.sleep(0.02) or heard.append(event.new.items["a"].value))
    for value in "123":
        configuration.save({"a": value})
    configuration.close()

    assert ["1", "2", "3"] == heard


def test_close_from_within_a_listener_does_not_hang(driver, configuration):
    closed = threading.Event()

    def close(event):
        configuration.close()
        closed.set()

    configuration.watch(close)
    configuration.save({"a": "1"})

    assert closed.wait(5)


def test_a_view_does_not_print_values(driver, configuration):
    driver.put(password="s3cret")

    assert "s3cret" not in repr(configuration.view())


def test_reading_a_view_never_sees_part_of_a_change(driver, configuration):
    view = configuration.view()
    configuration.save({"a": "0", "b": "0"})
    torn, done = [], threading.Event()

    def read():
        while not done.is_set():
            items = view.snapshot.items
            if items["a"].value != items["b"].value:
                torn.append(items)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(60):
        configuration.save({"a": str(number), "b": str(number)})
    done.set()
    thread.join()

    assert [] == torn


def test_a_forked_child_goes_on_watching(tmp_path):
    from capa_core.components.file.configuration import FileConfiguration, FileConfigurationSettings

    path = tmp_path / "config" / "application.properties"
    path.parent.mkdir()
    path.write_text("a=1")
    configuration = Configuration(
        FileConfiguration(FileConfigurationSettings(root=tmp_path, poll_s=0.05)), "test"
    )
    view = configuration.view()

    def follow() -> str:
        configuration.forget()  # as the runtime does
        (tmp_path / "ready").touch()
        wait_until(lambda: view["a"] == "2")
        return view["a"]

    child = Child(follow)
    wait_until((tmp_path / "ready").exists)
    path.write_text("a=2")

    assert "2" == child.result()
    configuration.close()


def test_a_secret_item_shows_a_mask_and_stays_secret_on_disk(driver, tmp_path):
    driver.save(Scope(), [ConfigurationItem("a", "hunter2", secret=True)])
    with Configuration(driver, "kept", folder=tmp_path) as earlier:
        earlier.view()
    driver.is_down = True
    with Configuration(driver, "kept", Policy(retries=0), folder=tmp_path) as later:
        item = later.get()["a"]

    assert ("hunter2", True) == (item.value, item.secret)
    assert "hunter2" not in repr(item)
