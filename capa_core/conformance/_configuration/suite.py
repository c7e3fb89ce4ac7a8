"""Fixtures of the suite, and functions that its tests share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from capa_core.abilities import Feature
from capa_core.blocks.configuration import (
    Configuration,
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    Scope,
)
from capa_core.call import Policy

GROUP = Scope()
OTHER_GROUP = Scope(group="database")
DOCUMENT = Scope(group="testjson.json")
TEXT = '{"name": "ü", "limits": {"max": 3}, "hosts": ["a", {"port": 1}]}'

Driver = ConfigurationDriver[Any]


class Suite(ABC):
    """The fixtures of every test, and their preconditions."""

    saves = 100
    """How often a group is written while it is read: fewer where each takes many requests."""

    @pytest.fixture
    @abstractmethod
    def driver(self) -> Iterator[Driver]:
        """Yield a driver over an empty place."""

    @pytest.fixture
    def configuration(self, driver: Driver) -> Iterator[Configuration]:
        """Yield the portable type over the driver."""
        with Configuration(driver, "conformance", Policy(deadline_s=5), poll_s=0.1) as portable:
            yield portable

    def write(self, driver: Driver, scope: Scope, items: Mapping[str, str]) -> None:
        """Put *items* into the engine as another process would."""
        driver.save(scope, [ConfigurationItem(key, value) for key, value in items.items()])

    def write_document(self, driver: Driver, scope: Scope, content: str) -> None:
        """Put a document into the engine as another process would."""
        driver.save_document(scope, content)

    def threads(self) -> set[threading.Thread]:
        """Return the threads of this process. Override it to leave out those of an engine that runs in the process."""
        return set(threading.enumerate())

    # Preconditions of tests

    def has(self, driver: Driver, *features: Feature) -> None:
        """Go on only if the driver declares all of *features*."""
        for feature in features:
            if not driver.features[feature]:
                pytest.skip(f"{feature} is declared absent")

    def lacks(self, driver: Driver, feature: Feature) -> None:
        """Go on only if the driver declares *feature* absent."""
        if driver.features[feature]:
            pytest.skip(f"{feature} is declared present")

    def watches(self, driver: Driver) -> None:
        """Go on only if the driver itself watches."""
        if not driver.features[ConfigurationFeature.WATCH].by_driver:
            pytest.skip("watched by the core")

    def kept_by_core(self, driver: Driver) -> None:
        """Go on only if the core keeps the last known good values for the driver."""
        if driver.features[ConfigurationFeature.LAST_KNOWN_GOOD].by_driver:
            pytest.skip("kept by the driver")


def values(items: Mapping[str, ConfigurationItem]) -> dict[str, str]:
    """Return key → text."""
    return {key: item.value for key, item in items.items()}
