"""An engine that is down, and the end of a component."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from capa_core.abilities import BY_CORE
from capa_core.blocks.configuration import (
    ChangeEvent,
    Configuration,
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    Scope,
    Snapshot,
)
from capa_core.call import Policy
from capa_core.conformance._configuration.suite import (
    GROUP,
    Driver,
    Suite,
    values,
)
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S, wait_until
from capa_core.errors import (
    CapaError,
    ClosedError,
    UnavailableError,
    UnknownError,
)


class OutagesPromises(Suite):
    """The promises of last known good values and of closing."""

    def test_a_start_with_the_engine_down_serves_last_known_good_values(
        self, driver: Driver, configuration: Configuration, tmp_path: Path
    ) -> None:
        self.kept_by_core(driver)
        self.write(driver, GROUP, {"a": "1"})
        with Configuration(Down(driver, is_down=False), "kept", folder=tmp_path) as earlier:
            assert not earlier.view().stale
            with Configuration(Down(driver), "kept", Policy(retries=0), folder=tmp_path) as later:
                view = later.view()

                assert ({"a": "1"}, True) == (dict(view), view.stale)
                assert {"a": "1"} == values(later.get())

    def test_a_stale_view_recovers_by_itself(self, driver: Driver, tmp_path: Path) -> None:
        self.kept_by_core(driver)
        self.write(driver, GROUP, {"a": "1"})
        down = Down(driver, is_down=False)
        with Configuration(down, "kept", folder=tmp_path) as earlier:
            earlier.view()
        down.is_down = True
        with Configuration(down, "kept", Policy(retries=0), folder=tmp_path, poll_s=0.05) as later:
            view, events = later.view(), list[ChangeEvent]()
            later.watch(events.append)
            self.write(driver, GROUP, {"a": "2"})
            down.is_down = False
            wait_until(lambda: view["a"] == "2")
            wait_until(lambda: events)

            assert (False, ["a"]) == (view.stale, list(events[0].changes))

    def test_a_start_with_the_engine_down_and_nothing_kept_fails(
        self, driver: Driver, tmp_path: Path
    ) -> None:
        with (
            Configuration(Down(driver), "kept", Policy(retries=0), folder=tmp_path) as later,
            pytest.raises(UnavailableError),
        ):
            later.view()

    def test_nothing_is_kept_where_the_driver_itself_keeps_it(self, driver: Driver, tmp_path: Path) -> None:
        if not driver.features[ConfigurationFeature.LAST_KNOWN_GOOD].by_driver:
            pytest.skip("kept by the core")
        self.write(driver, GROUP, {"a": "1"})
        folder = tmp_path / "nothing-else-writes-here"
        with Configuration(driver, "kept", folder=folder) as portable:
            portable.view()

        assert not folder.exists()

    def test_ping_returns_one_line(self, configuration: Configuration) -> None:
        assert 1 == len(configuration.ping().splitlines())

    def test_close_twice_does_nothing(self, configuration: Configuration) -> None:
        configuration.close()
        configuration.close()

    def test_a_closed_component_refuses_calls_and_its_views_serve_on(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.write(driver, GROUP, {"a": "1"})
        view = configuration.view()
        configuration.close()
        with pytest.raises(ClosedError):
            configuration.get()

        assert "1" == view["a"]

    @pytest.mark.parametrize("call", ["get", "save", "watch"])
    def test_calls_under_way_while_it_closes_return_or_fail_with_a_typed_error(
        self, driver: Driver, call: str
    ) -> None:
        if call == "save":
            self.has(driver, ConfigurationFeature.SAVE)
        if call == "watch":
            self.watches(driver)
        calls: dict[str, Callable[[], object]] = {
            "get": lambda: driver.get(GROUP),
            "save": lambda: driver.save(GROUP, [ConfigurationItem("a", "1")]),
            "watch": lambda: driver.watch({GROUP: "none"}, SLOW_MACHINE_S),
        }
        over = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            begun = [threading.Event() for _ in range(1 if call == "watch" else 3)]
            under_way = [pool.submit(_go_on, calls[call], one, over) for one in begun]
            try:
                for one in begun:
                    assert one.wait(PATIENCE_S)
            finally:
                driver.close()
                over.set()
            errors = [error for one in under_way if (error := one.result(PATIENCE_S)) is not None]

        assert [] == [error for error in errors if not _is_typed(driver, error)]


def _go_on(call: Callable[[], object], begun: threading.Event, over: threading.Event) -> Exception | None:
    """Call again and again until *over*, and return the error that ended it."""
    try:
        while not over.is_set():
            call()
            begun.set()
    except Exception as error:  # noqa: BLE001 - the test looks at its type
        return error
    finally:
        begun.set()
    return None


def _is_typed(driver: Driver, error: Exception) -> bool:
    kind = type(error) if isinstance(error, CapaError) else driver.name_error(error)
    return kind not in (None, UnknownError)


class Down(ConfigurationDriver[Any]):
    """A driver whose engine does not answer while `is_down`."""

    def __init__(self, driver: Driver, *, is_down: bool = True) -> None:
        super().__init__(driver.settings)
        self.features = {**driver.features, ConfigurationFeature.WATCH: BY_CORE}  # type: ignore[misc]
        self._driver = driver
        self.is_down = is_down

    def get(self, scope: Scope) -> Snapshot:
        self._check()
        return self._driver.get(scope)

    def version(self, scope: Scope) -> str:
        self._check()
        return self._driver.version(scope)

    def ping(self) -> str:
        self._check()
        return self._driver.ping()

    def close(self) -> None:
        """Do nothing: the driver belongs to the test."""

    def _check(self) -> None:
        if self.is_down:
            raise UnavailableError("no answer")
