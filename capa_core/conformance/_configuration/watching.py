"""Watching: drivers, views and listeners notice changes."""

from __future__ import annotations

import threading
import time

import pytest

from capa_core.blocks.configuration import (
    ChangeEvent,
    ChangeKind,
    Configuration,
    ConfigurationFeature,
    Scope,
)
from capa_core.conformance._configuration.suite import (
    GROUP,
    OTHER_GROUP,
    Driver,
    Suite,
)
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S, wait_until
from capa_core.errors import (
    UnsupportedError,
)


class WatchingPromises(Suite):
    """The promises of watches, views and listeners."""

    def test_watch_returns_an_earlier_change(self, driver: Driver) -> None:
        self.watches(driver)
        self.write(driver, GROUP, {"a": "1"})

        assert {GROUP: driver.version(GROUP)} == driver.watch({GROUP: "", OTHER_GROUP: ""}, 5)

    def test_watch_returns_a_change_again_until_it_is_known(self, driver: Driver) -> None:
        self.watches(driver)
        self.write(driver, GROUP, {"a": "1"})
        seen = [driver.watch({GROUP: ""}, 5) for _ in range(2)]

        assert [{GROUP: driver.version(GROUP)}] * 2 == seen

    def test_watch_returns_a_later_change(self, driver: Driver) -> None:
        self.watches(driver)
        self.write(driver, GROUP, {"a": "1"})
        known = {GROUP: driver.version(GROUP)}
        timer = threading.Timer(0.3, self.write, (driver, GROUP, {"a": "2"}))
        started = time.monotonic()
        timer.start()
        found = driver.watch(known, PATIENCE_S)
        took_s = time.monotonic() - started
        timer.join()

        assert {GROUP: driver.version(GROUP)} == found
        assert 0.2 < took_s < 0.3 + SLOW_MACHINE_S

    def test_watch_returns_nothing_after_its_timeout(self, driver: Driver) -> None:
        self.watches(driver)
        started = time.monotonic()

        assert {} == driver.watch({GROUP: driver.version(GROUP)}, 0.3)
        assert 0.25 < time.monotonic() - started < 0.3 + SLOW_MACHINE_S

    def test_close_ends_a_watch(self, driver: Driver) -> None:
        self.watches(driver)
        timer = threading.Timer(0.2, driver.close)
        started = time.monotonic()
        timer.start()
        driver.watch({GROUP: ""}, PATIENCE_S)
        took_s = time.monotonic() - started
        timer.join()

        assert took_s < 0.2 + SLOW_MACHINE_S

    def test_watch_is_refused_if_declared_absent(self, driver: Driver) -> None:
        if driver.features[ConfigurationFeature.WATCH].by_driver:
            pytest.skip("declared present")
        with pytest.raises(UnsupportedError):
            driver.watch({GROUP: ""}, 0.1)

    def test_a_view_follows_a_change_by_another_process(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        view = configuration.view()
        self.write(driver, GROUP, {"a": "1"})
        wait_until(lambda: view.get("a") == "1")
        self.write(driver, GROUP, {"a": "2"})
        wait_until(lambda: view.get("a") == "2")

        assert (driver.version(GROUP), {"a": "2"}) == (view.version, dict(view))

    def test_a_view_shows_a_change_of_its_own_component_at_once(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.has(driver, ConfigurationFeature.SAVE)
        view = configuration.view()
        configuration.save({"a": "1"})

        assert "1" == view["a"]

    def test_a_group_has_one_view(self, configuration: Configuration) -> None:
        assert configuration.view() is configuration.view("application")

    def test_groups_that_are_viewed_later_are_live_too(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        configuration.view()
        time.sleep(0.3)
        later = configuration.view("database")
        self.write(driver, OTHER_GROUP, {"a": "1"})
        started = time.monotonic()
        wait_until(lambda: later.get("a") == "1")

        assert time.monotonic() - started < SLOW_MACHINE_S

    def test_a_listener_gets_added_modified_and_deleted_keys(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.has(driver, ConfigurationFeature.DELETE)
        self.write(driver, GROUP, {"kept": "1", "changed": "1", "gone": "1"})
        events: list[ChangeEvent] = []
        configuration.watch(events.append)
        configuration.save({"changed": "2", "new": "2"})
        configuration.delete(["gone"])
        wait_until(lambda: len(events) == 2)

        first = {key: (one.old, one.new, one.kind) for key, one in events[0].changes.items()}
        assert {"changed": ("1", "2", ChangeKind.MODIFIED), "new": (None, "2", ChangeKind.ADDED)} == first
        assert [("1", None, ChangeKind.DELETED)] == [
            (c.old, c.new, c.kind) for c in events[1].changes.values()
        ]

    def test_listeners_are_called_in_order_and_a_failing_one_stops_no_other(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        called: list[str] = []
        configuration.watch(lambda event: called.append("first"))
        configuration.watch(lambda event: 1 / 0)
        configuration.watch(lambda event: called.append("third"))
        self.write(driver, GROUP, {"a": "1"})
        wait_until(lambda: len(called) == 2)

        assert ["first", "third"] == called

    def test_a_listener_sees_the_view_changed(self, driver: Driver, configuration: Configuration) -> None:
        view, seen = configuration.view(), []
        configuration.watch(lambda event: seen.append((view["a"], event.new.items["a"].value)))
        self.write(driver, GROUP, {"a": "1"})
        wait_until(lambda: seen)

        assert [("1", "1")] == seen

    def test_keys_and_prefixes_choose_the_events(self, driver: Driver, configuration: Configuration) -> None:
        by_key: list[ChangeEvent] = []
        by_prefix: list[ChangeEvent] = []
        all_of_them: list[ChangeEvent] = []
        configuration.watch(by_key.append, keys=["a"])
        configuration.watch(by_prefix.append, prefixes=["db."])
        configuration.watch(all_of_them.append)
        for number, items in enumerate(({"a": "1", "z": "1"}, {"db.host": "1"}, {"z": "2"})):
            self.write(driver, GROUP, items)
            wait_until(lambda wanted=number + 1: len(all_of_them) == wanted)  # type: ignore[misc]

        assert [{"a", "z"}] == [set(event.changes) for event in by_key]
        assert [{"db.host"}] == [set(event.changes) for event in by_prefix]

    def test_a_closed_subscription_gets_no_events(self, driver: Driver, configuration: Configuration) -> None:
        closed: list[ChangeEvent] = []
        opened: list[ChangeEvent] = []
        with configuration.watch(closed.append):
            pass
        configuration.watch(opened.append)
        self.write(driver, GROUP, {"a": "1"})
        wait_until(lambda: opened)

        assert [] == closed

    def test_a_change_of_a_text_is_an_event(self, driver: Driver, configuration: Configuration) -> None:
        self.has(driver, ConfigurationFeature.DOCUMENTS)
        events: list[ChangeEvent] = []
        configuration.watch(events.append, group="notice.txt")
        self.write_document(driver, Scope(group="notice.txt"), "new")
        wait_until(lambda: events)

        assert [(None, "new")] == [(event.old.content, event.new.content) for event in events]

    def test_one_thread_watches_all_groups(self, configuration: Configuration) -> None:
        before = self.threads()
        for number in range(10):
            configuration.view(f"group{number}")

        assert 1 == len(self.threads() - before)
